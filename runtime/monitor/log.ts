import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { addon } from "../../native/addon/addon.js";
import { watchReadable, type Watch } from "../../native/addon/watch.js";
import { messageOf, systemCodeOf } from "../errors.js";

/** Bytes of reports kept of one container: a guest that crashes in a loop must not fill a disk. */
const MOST_KEPT = 1024 * 1024;

/**
 * What a container's monitors report: a pipe that they inherit, read here into
 * a file of the bundle, and line by line into the shim's log.
 */
export class MonitorLog {
  readonly #reading: number;
  readonly #writing: number;
  readonly #watch: Watch;
  readonly #log: (line: string) => void;
  readonly #path: string;
  #file: number | undefined;
  #kept = 0;
  #partial = "";
  #closed = false;

  /**
   * @param path - the file; made when there is something to write
   * @param log - told each line
   */
  constructor(path: string, log: (line: string) => void) {
    this.#path = path;
    this.#log = log;
    [this.#reading, this.#writing] = addon.pipe(true);
    this.#watch = watchReadable(this.#reading, () => {
      this.#read();
      this.#watch.again();
    });
  }

  /** The descriptor to hand to a monitor; stays this object's. */
  get descriptor(): number {
    return this.#writing;
  }

  /** Takes what is there still, and closes. Idempotent. */
  close(): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#read();
    if (this.#partial !== "") {
      this.#log(this.#partial);
    }
    this.#watch.close();
    closeSync(this.#reading);
    closeSync(this.#writing);
    if (this.#file !== undefined) {
      closeSync(this.#file);
    }
  }

  #read(): void {
    const buffer = Buffer.alloc(16 * 1024);
    try {
      const count = readSync(this.#reading, buffer, 0, buffer.length, null);
      this.#keep(buffer.subarray(0, count));
    } catch (error) {
      if (systemCodeOf(error) !== "EAGAIN") {
        this.#log(`the monitors' reports are lost: ${messageOf(error)}`);
      }
    }
  }

  #keep(bytes: Buffer): void {
    const room = MOST_KEPT - this.#kept;
    if (room <= 0) {
      return;
    }
    const kept = bytes.subarray(0, room);
    this.#kept += kept.length;
    try {
      this.#file ??= openSync(this.#path, "a", 0o600);
      writeSync(this.#file, kept);
    } catch (error) {
      // The lines below still reach the shim's log.
      this.#log(`${this.#path}: ${messageOf(error)}`);
    }
    const lines = (this.#partial + kept.toString("utf8")).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) {
      this.#log(line);
    }
    if (this.#kept >= MOST_KEPT) {
      this.#log("no more of this container's reports are kept");
    }
  }
}
