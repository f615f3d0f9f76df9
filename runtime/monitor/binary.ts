import { closeSync, statSync } from "node:fs";
import { addon } from "../../native/addon/addon.js";
import { messageOf, RuntimeError } from "../errors.js";

/**
 * The monitor's program as a sealed memory file. A container gets this copy
 * and never the host's file: root in a container that can write to the
 * program that runs it has won (CVE-2019-5736).
 */
export class MonitorBinary {
  #copy: { readonly descriptor: number; readonly version: string } | undefined;

  /**
   * A descriptor of its own for one process; the copy behind it is shared, and
   * made anew when the file was replaced.
   *
   * @param path - the program's file
   * @throws RuntimeError `failed` when it cannot be read
   */
  open(path: string): number {
    try {
      const { dev, ino, size, mtimeMs } = statSync(path);
      const version = [path, dev, ino, size, mtimeMs].join();
      if (this.#copy?.version !== version) {
        const descriptor = addon.sealedCopy("tine-vmm", path);
        if (this.#copy !== undefined) {
          closeSync(this.#copy.descriptor);
        }
        this.#copy = { descriptor, version };
      }
      return addon.reopen(this.#copy.descriptor);
    } catch (error) {
      throw new RuntimeError("failed", `the monitor ${path} cannot be used: ${messageOf(error)}`);
    }
  }
}
