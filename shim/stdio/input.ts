import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

/**
 * The reading end of a client's fifo. A writing end of our own keeps a client
 * that comes and goes from being taken for the end of input: that is
 * {@link closeInput}'s to say.
 */
export class FifoInput {
  readonly #source: Socket;
  #ownWriter: number | undefined;

  /** @throws the system's error, for instance ENOENT */
  constructor(path: string) {
    const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      this.#ownWriter = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      closeSync(reading);
      throw error;
    }
    this.#source = new Socket({ fd: reading, readable: true, writable: false });
    this.#source.on("error", () => this.close());
  }

  /** Copies to the process; `end` also passes on the end of input. */
  copyTo(target: Writable, end: boolean): void {
    // The process may close its input, or end, while there is more.
    target.on("error", () => {
      this.#source.unpipe(target);
      target.destroy();
    });
    this.#source.pipe(target, { end });
  }

  /** The end comes once the clients have closed their writing ends too. Idempotent. */
  closeInput(): void {
    if (this.#ownWriter !== undefined) {
      closeSync(this.#ownWriter);
      this.#ownWriter = undefined;
    }
  }

  close(): void {
    this.closeInput();
    this.#source.destroy();
  }
}
