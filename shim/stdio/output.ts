import { closeSync, constants, mkdirSync, openSync, write } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { Writable } from "node:stream";

/** Milliseconds that a client gets to open its end of a fifo, and between two looks. */
const READER_LIMIT = 2000;
const READER_PAUSE = 2;

/**
 * The writing end of a client's fifo, once somebody has it open for reading:
 * what is written to a fifo and closed before that is lost, and clients open
 * theirs while they ask for the container. It is not waited for longer than
 * two seconds. Also opened for reading: then a client that goes away is no
 * broken pipe, and another may come.
 *
 * @throws the system's error, for instance ENOENT
 */
export async function openFifoOutput(path: string): Promise<Writable> {
  const writer = await writerToReader(path);
  try {
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    return new Socket({ fd: descriptor, readable: false, writable: true });
  } finally {
    // Not before there is another one: a reader that finds none is at its end.
    if (writer !== undefined) closeSync(writer);
  }
}

async function writerToReader(path: string): Promise<number | undefined> {
  for (let waited = 0; waited < READER_LIMIT; waited += READER_PAUSE) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENXIO") throw error;
    }
    await delay(READER_PAUSE);
  }
  return undefined;
}

/** One file, appended to by one or two streams. */
export class OutputFile {
  readonly #descriptor: number;
  readonly #path: string;
  readonly #report: (line: string) => void;
  #writers = 0;
  #failed = false;

  /**
   * @param report - told once when writing fails; what comes after is lost then, and the process goes on
   * @throws the system's error
   */
  constructor(path: string, report: (line: string) => void) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    this.#descriptor = openSync(path, "a", 0o644);
    this.#path = path;
    this.#report = report;
  }

  /** A stream into the file; the last one that ends closes it. */
  writer(): Writable {
    this.#writers += 1;
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => this.#write(chunk, 0, done),
      destroy: (error, done) => {
        this.#writers -= 1;
        if (this.#writers === 0) {
          closeSync(this.#descriptor);
        }
        done(error);
      },
    });
  }

  #write(chunk: Buffer, from: number, done: () => void): void {
    write(this.#descriptor, chunk, from, chunk.length - from, null, (error, count) => {
      if (error !== null) {
        // A full disk must not stop a container for ever on its next line.
        if (!this.#failed) {
          this.#failed = true;
          this.#report(`output is lost: ${this.#path}: ${error.message}`);
        }
        done();
      } else if (from + count < chunk.length) {
        this.#write(chunk, from + count, done);
      } else {
        this.#failed = false;
        done();
      }
    });
  }
}
