import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Socket } from "node:net";
import { addon } from "../../native/addon/addon.js";
import { systemCodeOf } from "../../runtime/errors.js";

/** Milliseconds that a client gets to open its end of a fifo, and between two looks. */
const OPEN_LIMIT = 2000;
const OPEN_PAUSE = 2;

/** Milliseconds that a client gets to read what is in the fifo, and between two looks at first and later. */
const READ_LIMIT = 1000;
const READ_PAUSE = 1;
const READ_PAUSE_LIMIT = 16;

/** The writing end of a client's fifo. It is closed when the client has read everything, or reads no more. */
export class FifoOutput extends Socket {
  readonly #descriptor: number;
  /** Open for reading too: then a client that goes away is no broken pipe, and another may come. */
  #reader: number;

  private constructor(descriptor: number, reader: number) {
    super({ fd: descriptor, readable: false, writable: true });
    this.#descriptor = descriptor;
    this.#reader = reader;
  }

  /**
   * Opens a fifo once somebody has it open for reading: what is written to a
   * fifo and closed before that is lost, and clients open theirs while they
   * ask for the container. It is not waited for longer than two seconds.
   *
   * @throws the system's error, for instance ENOENT
   */
  static async open(path: string): Promise<FifoOutput> {
    const descriptor = (await openForReader(path)) ?? openWithout(path);
    let reader: number;
    try {
      reader = openReader(descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return new FifoOutput(descriptor, reader);
  }

  /**
   * Resolves when the client has read what was written, when there is no
   * client, or after a second. A client that hears of a process's exit may
   * close its end with what it has not read: `ctr` does.
   */
  async taken(): Promise<void> {
    let pause = READ_PAUSE;
    for (let waited = 0; waited < READ_LIMIT && this.#unread(); waited += pause) {
      await delay(pause);
      pause = Math.min(2 * pause, READ_PAUSE_LIMIT);
    }
  }

  override _final(callback: (error?: Error | null) => void): void {
    // Whatever comes of that: who waits for the end of the output has to hear of it.
    const end = (): void => super._final(callback);
    void this.taken().then(end, end);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (this.#reader >= 0) closeSync(this.#reader);
    this.#reader = -1;
    super._destroy(error, callback);
  }

  /** Whether somebody else has the fifo open and it is not empty. */
  #unread(): boolean {
    if (this.#reader < 0 || !addon.isReadable(this.#reader)) return false;
    // A pipe tells its writer that nobody reads, so our own reading end has to go for a moment.
    closeSync(this.#reader);
    this.#reader = -1;
    try {
      const read = addon.hasReader(this.#descriptor);
      this.#reader = openReader(this.#descriptor);
      return read;
    } catch {
      // No descriptor to be had: the rest is passed on as far as it is read.
      return false;
    }
  }
}

/** By our own descriptor: the client may have removed the path. */
function openReader(descriptor: number): number {
  return openSync(`/proc/self/fd/${descriptor}`, constants.O_RDONLY | constants.O_NONBLOCK);
}

async function openForReader(path: string): Promise<number | undefined> {
  for (let waited = 0; waited < OPEN_LIMIT; waited += OPEN_PAUSE) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (systemCodeOf(error) !== "ENXIO") throw error;
    }
    await delay(OPEN_PAUSE);
  }
  return undefined;
}

/** With a reading end of our own for as long as it takes. */
function openWithout(path: string): number {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } finally {
    closeSync(reader);
  }
}
