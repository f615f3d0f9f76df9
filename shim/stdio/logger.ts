import { closeSync, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "../../native/addon/addon.js";
import { spawnChild, type Child } from "../../native/addon/children.js";
import { watchReadable } from "../../native/addon/watch.js";
import { messageOf, RuntimeError } from "../../runtime/errors.js";

const SIGTERM = 15;
const SIGKILL = 9;

/** How long a logger may take to notice the end of its input by itself, milliseconds. */
const END_LIMIT = 2000;

/** How long after SIGTERM it is killed, milliseconds. */
const TERM_LIMIT = 12_000;

/** Whose output it is. */
export interface LoggerContext {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
}

/**
 * A program that a container's output goes to (`binary://`): it reads standard
 * output from its descriptor 3 and standard error from 4, and says by a byte
 * on 5 that it is ready.
 */
export class Logger {
  /** What the process gets as standard output and error; closed by {@link handedOver}. */
  readonly descriptors: readonly [stdout: number, stderr: number];
  readonly #child: Child;
  #open = true;

  private constructor(child: Child, descriptors: readonly [number, number]) {
    this.#child = child;
    this.descriptors = descriptors;
  }

  /**
   * Starts it, and waits until it is ready or has closed its descriptor 5.
   *
   * @throws RuntimeError `failed` when there is no such program
   */
  static async start(path: string, args: readonly string[], context: LoggerContext): Promise<Logger> {
    const nothing = openSync("/dev/null", "r+");
    const [readStdout, writeStdout] = addon.pipe();
    const [readStderr, writeStderr] = addon.pipe();
    const [readReady, writeReady] = addon.pipe(true);
    try {
      const child = spawnChild({
        file: path,
        args,
        environment: [`CONTAINER_ID=${context.id}`, `CONTAINER_NAMESPACE=${context.namespace}`],
        workingDirectory: context.bundle,
        descriptors: [nothing, nothing, nothing, readStdout, readStderr, writeReady],
        newSession: true,
      });
      closeSync(writeReady);
      await becomesReadable(readReady);
      return new Logger(child, [writeStdout, writeStderr]);
    } catch (error) {
      [writeStdout, writeStderr, writeReady].forEach((descriptor) => closeSync(descriptor));
      throw new RuntimeError("failed", `failed to start the logger ${path}: ${messageOf(error)}`);
    } finally {
      [nothing, readStdout, readStderr, readReady].forEach((descriptor) => closeSync(descriptor));
    }
  }

  /** The process has its own copies now. Idempotent. */
  handedOver(): void {
    if (this.#open) {
      this.#open = false;
      this.descriptors.forEach((descriptor) => closeSync(descriptor));
    }
  }

  /** Resolves when it has ended: by itself at the end of its input, or else by signals. */
  async stop(): Promise<void> {
    this.handedOver();
    for (const [limit, signal] of [
      [END_LIMIT, SIGTERM],
      [TERM_LIMIT, SIGKILL],
    ] as const) {
      if (await endsWithin(this.#child, limit)) {
        return;
      }
      this.#child.signal(signal);
    }
    await this.#child.exited;
  }
}

async function endsWithin(child: Child, milliseconds: number): Promise<boolean> {
  using timer = new DisposableTimer(milliseconds);
  return await Promise.race([child.exited.then(() => true), timer.over.then(() => false)]);
}

/** A timer that does not outlive its use. */
class DisposableTimer implements Disposable {
  readonly over: Promise<void>;
  readonly #abort = new AbortController();

  constructor(milliseconds: number) {
    this.over = delay(milliseconds, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }
}

function becomesReadable(descriptor: number): Promise<void> {
  return new Promise((resolve) => {
    const watch = watchReadable(descriptor, () => {
      watch.close();
      resolve();
    });
  });
}
