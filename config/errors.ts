/** What can be wrong with a tine.toml. */
export type SettingsErrorCode = "unreadable" | "malformed" | "unknown-key" | "bad-value";

/** A tine.toml that cannot be used: which file, which line, which key. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(
    readonly code: SettingsErrorCode,
    readonly file: string,
    /** From 1; undefined when the trouble is the whole file's. */
    readonly line: number | undefined,
    /** `section.key`; undefined when no key is to blame. */
    readonly key: string | undefined,
    problem: string,
  ) {
    super(`${file}${line === undefined ? "" : `:${line}`}: ${key === undefined ? "" : `${key}: `}${problem}`);
  }
}
