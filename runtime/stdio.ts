/**
 * A process's standard streams, as the runtime needs them. Where the bytes go
 * to is for the one who made it: the shim has fifos, files and loggers.
 */
export interface ProcessStdio {
  /** Whether the process gets a pseudo-terminal instead of three descriptors. */
  readonly terminal: boolean;
  /** What the process has as 0, 1 and 2; not used with a terminal. */
  readonly descriptors: readonly [stdin: number, stdout: number, stderr: number];
  /** Takes over the master side of the process's terminal. */
  attachTerminal(master: number): void;
  /** The process has its own copies of {@link descriptors} now: close ours, or no end will be seen. */
  handedOver(): void;
  /**
   * Copies from here on, both ways: the process is there, and what it is to run was found. Until then nothing
   * is passed on, for it would be runc's own complaint.
   *
   * @throws the system's error when the input cannot be opened
   */
  begin(): void;
  /** Lets the process read the end of its input. Idempotent. */
  closeStdin(): void;
  /** A no-op without a terminal. */
  resize(columns: number, rows: number): void;
  /**
   * Resolves when what the process has written until now is with the client, or after a second or two: a client
   * that hears of the exit may read no more. Does not reject.
   */
  settled(): Promise<void>;
  /** Resolves once everything the process wrote has been passed on. */
  readonly drained: Promise<void>;
  /** Stops copying and closes everything. Idempotent; resolves when nothing is left open. */
  close(): Promise<void>;
}
