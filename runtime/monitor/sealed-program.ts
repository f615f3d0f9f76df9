import { closeSync, statSync } from "node:fs";
import { addon } from "../../native/addon/addon.js";

/**
 * A program as a sealed memory file. A container gets this copy and never the
 * host's file: root in a container that can write to the program that runs it
 * has won (CVE-2019-5736).
 */
export class SealedProgram {
  readonly #name: string;
  #copy: { readonly descriptor: number; readonly version: string } | undefined;

  /** @param name - what the kernel shows for the copy, after `/memfd:` */
  constructor(name: string) {
    this.#name = name.slice(0, 240);
  }

  /**
   * A descriptor of its own for one process; the copy behind it is shared, and
   * made anew when the file was replaced.
   *
   * @param path - the program's file
   */
  open(path: string): number {
    const { dev, ino, size, mtimeMs } = statSync(path);
    const version = [path, dev, ino, size, mtimeMs].join();
    if (this.#copy?.version !== version) {
      const descriptor = addon.sealedCopy(this.#name, path);
      if (this.#copy !== undefined) {
        closeSync(this.#copy.descriptor);
      }
      this.#copy = { descriptor, version };
    }
    return addon.reopen(this.#copy.descriptor);
  }
}
