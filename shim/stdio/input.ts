import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

/**
 * The reading end of a client's fifo. A writing end of our own keeps a client
 * that comes and goes from being taken for the end of input: that is
 * {@link closeInput}'s to say.
 */
export class FifoInput {
  readonly #path: string;
  #source: Socket | undefined;
  #ownWriter: number | undefined;
  #ended = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens the fifo and copies it to the process; `end` also passes on the end
   * of input. Not before the process is there: a client that finds a reader
   * copies at once, and some (nerdctl, ctr) ask for a task to close the input
   * of at the end of theirs, and give up when there is none yet.
   *
   * @throws the system's error, for instance ENOENT
   */
  copyTo(target: Writable, end: boolean): void {
    const reading = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!this.#ended) {
        this.#ownWriter = openSync(this.#path, constants.O_WRONLY | constants.O_NONBLOCK);
      }
    } catch (error) {
      closeSync(reading);
      throw error;
    }
    const source = new Socket({ fd: reading, readable: true, writable: false });
    this.#source = source;
    source.on("error", () => this.close());
    // The process may close its input, or end, while there is more.
    target.on("error", () => {
      source.unpipe(target);
      target.destroy();
    });
    source.pipe(target, { end });
  }

  /** The end comes once the clients have closed their writing ends too. Idempotent. */
  closeInput(): void {
    this.#ended = true;
    if (this.#ownWriter !== undefined) {
      closeSync(this.#ownWriter);
      this.#ownWriter = undefined;
    }
  }

  close(): void {
    this.closeInput();
    this.#source?.destroy();
  }
}
