import { createRequire } from "node:module";

/** How a child process ended: exactly one of the two is a number. */
export interface ExitReport {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: number | null;
}

/**
 * The functions of `build/native/tine.node`. A failed system call throws an
 * `Error` with `code` ("ENOENT"), `errno` and `syscall`, as Node's own do.
 * Every descriptor they return is close-on-exec and the caller's to close.
 */
export interface Addon {
  /** Orphaned descendants become this process's children (PR_SET_CHILD_SUBREAPER). */
  setChildSubreaper(): void;

  /**
   * Starts a program by posix_spawn.
   *
   * @param descriptors - at index n, which of our descriptors the child has as n; it has no others
   * @returns the child's process identifier
   */
  spawn(
    file: string,
    args: readonly string[],
    environment: readonly string[],
    workingDirectory: string | undefined,
    descriptors: readonly number[],
    newSession: boolean,
  ): number;
  /**
   * Becomes another program (execve); returns only by throwing.
   *
   * @param descriptors - which descriptors the program keeps; Node has marked those it inherited close-on-exec
   * @param ignoredSignals - bit n - 1 set: signal n is ignored; all others get their default
   * @param softDescriptors - the soft RLIMIT_NOFILE, which Node has raised
   */
  replaceProcess(
    file: string,
    args: readonly string[],
    environment: readonly string[],
    descriptors: readonly number[],
    ignoredSignals: bigint | undefined,
    softDescriptors: bigint | undefined,
  ): never;
  /** Reaps one child if it has ended. */
  waitChild(pid: number): ExitReport | undefined;
  /** Some child that has ended and was not reaped yet, or 0. */
  peekChild(): number;
  openPidfd(pid: number): number;
  signalPidfd(pidfd: number, signal: number): void;
  /** [soft, hard] of an RLIMIT_*; unlimited is 2^64 - 1. */
  resourceLimit(resource: number): [soft: bigint, hard: bigint];

  startWatches(onReadable: (id: number) => void): void;
  addWatch(descriptor: number, id: number): void;
  armWatch(descriptor: number, id: number): void;
  removeWatch(descriptor: number): void;

  /** Whether a read would find bytes now. */
  isReadable(descriptor: number): boolean;
  /** Whether a pipe that this descriptor writes to is open for reading anywhere. */
  hasReader(descriptor: number): boolean;
  /** @param readsWithoutBlocking - makes reads from an empty pipe fail with EAGAIN; writes block */
  pipe(readsWithoutBlocking?: boolean): [readEnd: number, writeEnd: number];
  eventfd(): number;
  /** A memory file with these bytes, sealed against every change. */
  sealedMemory(name: string, bytes: Uint8Array): number;
  /** A memory file with the bytes of the file at `path`, sealed against every change. */
  sealedCopy(name: string, path: string): number;
  /** Opens the same file anew, read-only, with an offset of its own. */
  reopen(descriptor: number): number;
  duplicate(descriptor: number): number;
  /** Makes the file where there is none, and locks it until the descriptor is closed; undefined when another has it. */
  lockFile(path: string): number | undefined;
  setWindowSize(terminal: number, columns: number, rows: number): void;

  /** A non-blocking listening Unix stream socket. */
  listenUnix(path: string): number;
  acceptUnix(listener: number): number;
  /** A connected, non-blocking SOCK_SEQPACKET pair. */
  socketPair(): [number, number];
  receiveDescriptors(socket: number): { data: Buffer; descriptors: number[] };
  sendDescriptors(socket: number, data: Uint8Array, descriptors: readonly number[]): void;

  /**
   * mount(2) on a thread of its own.
   *
   * @param directory - working directory for relative paths in `data`; empty for none
   */
  mount(
    source: string,
    target: string,
    type: string,
    flags: number,
    data: string,
    directory: string,
  ): Promise<void>;
  /**
   * The same with other users than on disk.
   *
   * @param users - lines of /proc/PID/uid_map
   * @param groups - lines of /proc/PID/gid_map
   * @param lower - the lower layers of an overlay, which are mapped then; else what is mounted is
   */
  mountMapped(
    source: string,
    target: string,
    type: string,
    flags: number,
    data: string,
    directory: string,
    users: string,
    groups: string,
    lower: readonly string[],
  ): Promise<void>;
  /**
   * Unmounts everything mounted at `target`, on a thread of its own. Nothing
   * mounted, or no such directory, is no error.
   */
  unmountAll(target: string): Promise<void>;

  /**
   * Whether each candidate is a program that the user may execute, with every
   * path and symbolic link resolved inside `root`.
   *
   * @returns errno numbers, 0 for "yes", up to and including the first 0
   */
  lookUp(
    root: string,
    candidates: readonly string[],
    user: number,
    group: number,
    groups: readonly number[],
  ): Promise<number[]>;
}

/** Of <asm-generic/resource.h>. */
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_AS = 9;

/** The addon itself; loaded from `build/native/tine.node`, beside `build/js`. */
export const addon = createRequire(import.meta.url)("../../../native/tine.node") as Addon;
