/** What can be wrong with an image archive. */
export type ImageErrorCode =
  | "not-a-layout"
  | "missing-blob"
  | "digest-mismatch"
  | "size-mismatch"
  | "malformed-json"
  | "unsupported-media-type"
  | "too-large";

/** An image archive that cannot be used, and why. */
export class ImageError extends Error {
  override readonly name = "ImageError";

  constructor(
    readonly code: ImageErrorCode,
    message: string,
  ) {
    super(message);
  }
}
