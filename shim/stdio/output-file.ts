import { closeSync, mkdirSync, openSync, write } from "node:fs";
import { dirname } from "node:path";
import { Writable } from "node:stream";

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
