import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { addon } from "../../native/addon/addon.js";
import type { ProcessStdio } from "../../runtime/stdio.js";
import { copyOutput, type Copy } from "./copy.js";
import type { FifoInput } from "./input.js";
import type { Logger } from "./logger.js";

/** Where one output goes: copied to a stream, handed over as a descriptor, or nowhere. */
export type PlainOutput = Writable | number | undefined;

/**
 * Three pipes. Pipes and not the fifos themselves: a process may chown, reopen
 * and read what it is given, and a fifo is a file of the host.
 */
export class PlainStreams implements ProcessStdio {
  readonly terminal = false;
  readonly descriptors: readonly [number, number, number];
  readonly drained: Promise<void>;
  readonly #input: FifoInput | undefined;
  readonly #logger: Logger | undefined;
  readonly #copies: readonly Copy[];
  readonly #inputPipe: Socket | undefined;
  /** Of {@link descriptors}, those to close when the process has its own. */
  readonly #ours: number[] = [];

  constructor(
    input: FifoInput | undefined,
    stdout: PlainOutput,
    stderr: PlainOutput,
    logger: Logger | undefined,
  ) {
    this.#input = input;
    this.#logger = logger;
    let reading: number;
    if (input === undefined) {
      reading = openSync("/dev/null", "r");
    } else {
      const [readEnd, writeEnd] = addon.pipe();
      reading = readEnd;
      this.#inputPipe = new Socket({ fd: writeEnd, readable: false, writable: true });
    }
    this.#ours.push(reading);
    const copies: Copy[] = [];
    const writing = [stdout, stderr].map((output): number => {
      if (typeof output === "number") {
        return output;
      }
      if (output === undefined) {
        return this.#own(openSync("/dev/null", "w"));
      }
      const [readEnd, writeEnd] = addon.pipe();
      copies.push(copyOutput(new Socket({ fd: readEnd, readable: true, writable: false }), readEnd, output));
      return this.#own(writeEnd);
    });
    this.#copies = copies;
    this.descriptors = [reading, writing[0] ?? reading, writing[1] ?? reading];
    this.drained = Promise.all(copies.map(({ finished }) => finished)).then(() => undefined);
  }

  attachTerminal(master: number): void {
    closeSync(master);
  }

  handedOver(): void {
    this.#ours.splice(0).forEach((descriptor) => closeSync(descriptor));
    this.#logger?.handedOver();
  }

  begin(): void {
    if (this.#inputPipe !== undefined) {
      this.#input?.copyTo(this.#inputPipe, true);
    }
    this.#copies.forEach((copy) => copy.start());
  }

  async settled(): Promise<void> {
    await Promise.all(this.#copies.map((copy) => copy.settled()));
  }

  closeStdin(): void {
    this.#input?.closeInput();
  }

  resize(): void {
    // There is no terminal to resize.
  }

  async close(): Promise<void> {
    this.handedOver();
    this.#input?.close();
    this.#inputPipe?.destroy();
    this.#copies.forEach((copy) => copy.stop());
    // A logger that takes its time does not hold up anybody.
    void this.#logger?.stop();
  }

  #own(descriptor: number): number {
    this.#ours.push(descriptor);
    return descriptor;
  }
}
