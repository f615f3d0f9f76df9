import { closeSync, writeSync } from "node:fs";
import { addon } from "../../native/addon/addon.js";
import { messageOf, RuntimeError } from "../errors.js";
import { fieldsOf, listOf, type Fields } from "./fields.js";

/**
 * What holds a container's first program back until it is started: a pipe at
 * which its monitor waits, with its machine made, before it looks at the
 * program. One run of runc's binary less than `create` and `start`, and the
 * monitor makes its machine while the client has yet to ask for the start.
 * When this process dies, so does the monitor.
 */
export class StartGate {
  /** For the monitor to wait at. */
  readonly descriptor: number;
  readonly #writing: number;
  #closed = false;

  constructor() {
    [this.descriptor, this.#writing] = addon.pipe();
  }

  /**
   * Lets the program run.
   *
   * @throws RuntimeError `failed` when nobody waits any more
   */
  open(): void {
    // Else the pipe's other end were this process's own, and the writing a success.
    closeSync(this.descriptor);
    try {
      writeSync(this.#writing, "\n");
    } catch (error) {
      throw new RuntimeError("failed", `the monitor ended before the start: ${messageOf(error)}`);
    } finally {
      closeSync(this.#writing);
      this.#closed = true;
    }
  }

  /** Closes what it holds: a monitor that waits gives up. Idempotent. */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      closeSync(this.descriptor);
      closeSync(this.#writing);
    }
  }
}

/**
 * Whether a gate can do what runc's `start` does. Hooks that belong to the
 * start are runc's to run then.
 */
export function gateSuffices(specification: Fields): boolean {
  const hooks = fieldsOf(specification["hooks"]);
  return listOf(hooks?.["startContainer"]).length === 0 && listOf(hooks?.["poststart"]).length === 0;
}
