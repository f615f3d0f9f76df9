import { closeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { addon } from "../../native/addon/addon.js";
import { watchReadable, type Watch } from "../../native/addon/watch.js";

let nextNumber = 0;

/**
 * Where runc sends the master side of a process's terminal: a Unix socket that
 * takes one connection with one descriptor.
 */
export class ConsoleSocket implements AsyncDisposable {
  readonly path: string;
  /** Resolves with the master; the caller's to close. Rejects, or stays open, when runc fails first. */
  readonly master: Promise<number>;
  readonly #listener: number;
  #connection: number | undefined;
  #watch: Watch;

  /** @param folder - short: a socket's whole path has to fit 107 bytes */
  constructor(folder: string) {
    this.path = join(folder, `console-${process.pid}-${nextNumber++}`);
    this.#listener = addon.listenUnix(this.path);
    let resolve: (master: number) => void = () => undefined;
    let reject: (error: unknown) => void = () => undefined;
    this.master = new Promise<number>((resolveMaster, rejectMaster) => {
      resolve = resolveMaster;
      reject = rejectMaster;
    });
    // Nobody may be waiting when runc failed before.
    this.master.catch(() => undefined);
    this.#watch = watchReadable(this.#listener, () => {
      try {
        const connection = addon.acceptUnix(this.#listener);
        this.#connection = connection;
        this.#watch.close();
        this.#watch = watchReadable(connection, () => {
          try {
            const [master, ...others] = addon.receiveDescriptors(connection).descriptors;
            others.forEach((descriptor) => closeSync(descriptor));
            if (master === undefined) {
              throw new Error("runc sent no terminal");
            }
            resolve(master);
          } catch (error) {
            reject(error);
          }
        });
      } catch (error) {
        reject(error);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch.close();
    if (this.#connection !== undefined) {
      closeSync(this.#connection);
    }
    closeSync(this.#listener);
    await rm(this.path, { force: true });
  }
}
