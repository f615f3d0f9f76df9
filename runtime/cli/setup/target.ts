/** What is to become of one file. */
export interface FileChange {
  readonly path: string;
  /** Its text now; undefined when it is not there. */
  readonly before: string | undefined;
  /** Its text afterwards; undefined when it is to go. */
  readonly after: string | undefined;
}

/** What a set-up, or its undoing, would do. */
export interface Plan {
  readonly files: readonly FileChange[];
  /** What the files get, to be shown. */
  readonly shown: string;
  /** Commands to run afterwards, each with its purpose. */
  readonly next: readonly string[];
}

/** Somebody who is to know of Tine. */
export interface Target {
  readonly summary: string;
  /** @param file - its configuration, in another place than usual */
  plan(file: string | undefined, undo: boolean): Promise<Plan>;
}

/** A configuration that cannot be changed for the user; the message says what to do by hand. */
export class SetupError extends Error {
  override readonly name = "SetupError";
  readonly code = "setup";
}
