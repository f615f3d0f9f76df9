import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import { check } from "../harness/command.js";

/** Makes a named pipe. */
export async function makeFifo(path: string): Promise<string> {
  await check(["mkfifo", path]);
  return path;
}

/** A client's reading end of a container's output. */
export class FifoReader {
  #text = "";
  #ended = false;
  #wake: () => void = () => undefined;
  readonly #socket: Socket;

  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
    this.#socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    this.#socket.on("error", () => undefined);
  }

  /** What has come so far. */
  get text(): string {
    return this.#text;
  }

  /** Waits until everything was written and the shim has closed its end. */
  async toEnd(limitMilliseconds = 60_000): Promise<string> {
    await this.#until(() => this.#ended, limitMilliseconds, "the end");
    return this.#text;
  }

  /** Waits until the output contains a text. */
  async including(expected: string, limitMilliseconds = 60_000): Promise<string> {
    await this.#until(() => this.#text.includes(expected), limitMilliseconds, JSON.stringify(expected));
    return this.#text;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(condition: () => boolean, limitMilliseconds: number, what: string): Promise<void> {
    const deadline = performance.now() + limitMilliseconds;
    while (!condition()) {
      const left = deadline - performance.now();
      if (left <= 0 || this.#ended) {
        throw new Error(`no ${what} in ${limitMilliseconds} ms, but ${JSON.stringify(this.#text)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** A client's writing end of a container's input. */
export class FifoWriter {
  readonly #socket: Socket;

  constructor(path: string) {
    // Also for reading: then it opens although the shim has not opened its end yet.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const writing = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd: writing, readable: false, writable: true });
    this.#socket.on("error", () => undefined);
    closeSync(fd);
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  close(): void {
    this.#socket.destroy();
  }
}
