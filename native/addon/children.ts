import { closeSync } from "node:fs";
import { addon, type ExitReport } from "./addon.js";
import { watchReadable } from "./watch.js";

/** What to start, and with what. */
export interface SpawnOptions {
  readonly file: string;
  /** Arguments, without the program's own name. */
  readonly args: readonly string[];
  /** `KEY=value` strings. */
  readonly environment: readonly string[];
  readonly workingDirectory?: string;
  /** At index n, which of our descriptors the child has as n. */
  readonly descriptors: readonly number[];
  /** Start a session, and with it a process group, of the child's own. */
  readonly newSession?: boolean;
}

/** When and how a process ended. */
export interface Exit {
  /** Exit code, or 128 plus the signal that killed it. */
  readonly status: number;
  readonly signal: number | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** A child of this process, spawned here or adopted as a subreaper. */
export interface Child {
  readonly pid: number;
  /** Settles once, when the child has ended and was reaped. */
  readonly exited: Promise<Exit>;
  /**
   * Sends a signal to this very process, never to another with its number.
   *
   * @throws the system's error: ESRCH when it has ended, EINVAL for no such signal
   */
  signal(number: number): void;
}

interface Awaited {
  finish(report: ExitReport): void;
}

const awaited = new Map<number, Awaited>();
const unclaimed = new Map<number, Exit>();
let holds = 0;

/**
 * Starts a program. Children are spawned here and not by `child_process`,
 * because libuv forks, and copying the page tables of a Node process costs
 * milliseconds.
 *
 * @throws the system's error, for instance ENOENT
 */
export function spawnChild(options: SpawnOptions): Child {
  const { file, args, environment, workingDirectory, descriptors, newSession } = options;
  const argv = [file, ...args];
  return adoptChild(addon.spawn(file, argv, environment, workingDirectory, descriptors, newSession ?? false));
}

/**
 * Takes charge of a process that is this process's child already, having been
 * orphaned by the one that made it.
 *
 * @throws ESRCH when there is no such process
 */
export function adoptChild(pid: number): Child {
  const early = unclaimed.get(pid);
  if (early !== undefined) {
    unclaimed.delete(pid);
    return { pid, exited: Promise.resolve(early), signal: noSuchProcess };
  }
  const pidfd = addon.openPidfd(pid);
  let open = true;
  const exited = new Promise<Exit>((resolve, reject) => {
    const watch = watchReadable(pidfd, () => {
      try {
        const report = addon.waitChild(pid);
        if (report === undefined) {
          watch.again();
        } else {
          finish(report);
        }
      } catch (error) {
        release();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
    const release = (): void => {
      awaited.delete(pid);
      watch.close();
      open = false;
      closeSync(pidfd);
    };
    const finish = (report: ExitReport): void => {
      release();
      resolve(exitOf(report));
    };
    awaited.set(pid, { finish });
  });
  const signal = (number: number): void => {
    if (!open) {
      noSuchProcess();
    }
    addon.signalPidfd(pidfd, number);
  };
  return { pid, exited, signal };
}

/**
 * From now on reaps every child that nobody waits for, as orphans of
 * containers without a pid namespace are. Only for a process that starts all
 * of its children through this module: it would steal libuv's.
 */
export function reapOrphans(): void {
  addon.setChildSubreaper();
  process.on("SIGCHLD", sweep);
  sweep();
}

/**
 * Keeps the exits of unknown children for {@link adoptChild} while `work` runs:
 * a program that leaves a child behind, until its pid is known.
 */
export async function keepingOrphans<Result>(work: () => Promise<Result>): Promise<Result> {
  holds += 1;
  try {
    return await work();
  } finally {
    holds -= 1;
    if (holds === 0) {
      unclaimed.clear();
    }
  }
}

function sweep(): void {
  for (let pid = addon.peekChild(); pid !== 0; pid = addon.peekChild()) {
    const report = addon.waitChild(pid);
    if (report === undefined) {
      return;
    }
    const waiting = awaited.get(pid);
    if (waiting !== undefined) {
      waiting.finish(report);
    } else if (holds > 0) {
      unclaimed.set(pid, exitOf(report));
    }
  }
}

function exitOf(report: ExitReport): Exit {
  const { code, signal } = report;
  return { status: code ?? 128 + (signal ?? 0), signal, at: Date.now() };
}

function noSuchProcess(): never {
  throw Object.assign(new Error("ESRCH: no such process"), { code: "ESRCH" });
}
