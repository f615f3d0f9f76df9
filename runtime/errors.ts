/** What kind of mistake or trouble an error of the runtime is. Stable: callers map it. */
export type RuntimeErrorCode =
  /** No such container or process, or it is over. */
  | "not-found"
  /** The name is taken. */
  | "already-exists"
  /** The request cannot be meant as it stands. */
  | "invalid-argument"
  /** It cannot be done now, and could at another time in the container's life. */
  | "failed-precondition"
  /** The state table has no such transition. */
  | "invalid-transition"
  /** Something this runtime does not do. */
  | "unimplemented"
  /** runc, the kernel or the file system refused; the message says what. */
  | "failed";

/** Every error the runtime itself raises. The message is what containerd's clients show and match on. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";

  constructor(
    readonly code: RuntimeErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The text of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` ("ENOENT") of a failed system call, if that is what was thrown. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error && "code" in thrown && typeof thrown.code === "string") {
    return thrown.code;
  }
  return undefined;
}
