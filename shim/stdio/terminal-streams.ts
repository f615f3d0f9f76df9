import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import { ReadStream, WriteStream } from "node:tty";
import { addon } from "../../native/addon/addon.js";
import type { ProcessStdio } from "../../runtime/stdio.js";
import { copyOutput, type Copy } from "./copy.js";
import type { FifoInput } from "./input.js";
import type { Logger } from "./logger.js";
import type { PlainOutput } from "./plain-streams.js";

/** A pseudo-terminal, its master copied from and to the client's streams. */
export class TerminalStreams implements ProcessStdio {
  readonly terminal = true;
  readonly descriptors: readonly [number, number, number];
  readonly drained: Promise<void>;
  readonly #input: FifoInput | undefined;
  readonly #output: PlainOutput;
  readonly #logger: Logger | undefined;
  readonly #nothing: number;
  #copy: Copy | undefined;
  #master: number | undefined;
  #writer: WriteStream | undefined;
  #resolveDrained: () => void = () => undefined;
  #handedOver = false;

  constructor(input: FifoInput | undefined, output: PlainOutput, logger: Logger | undefined) {
    this.#input = input;
    this.#output = output;
    this.#logger = logger;
    // For runc itself; the process gets the terminal's other side.
    this.#nothing = openSync("/dev/null", "r+");
    this.descriptors = [this.#nothing, this.#nothing, this.#nothing];
    this.drained = new Promise((resolve) => {
      this.#resolveDrained = resolve;
    });
  }

  attachTerminal(master: number): void {
    // Each stream closes its descriptor when it ends; the third is for sizes.
    this.#master = addon.duplicate(master);
    const writer = new WriteStream(addon.duplicate(master));
    writer.on("error", () => writer.destroy());
    this.#writer = writer;
    this.#copy = copyOutput(new ReadStream(master), master, this.#target());
    void this.#copy.finished.then(this.#resolveDrained);
    this.#logger?.handedOver();
  }

  handedOver(): void {
    if (!this.#handedOver) {
      this.#handedOver = true;
      closeSync(this.#nothing);
    }
  }

  begin(): void {
    if (this.#writer !== undefined) {
      this.#input?.copyTo(this.#writer, false);
    }
    this.#copy?.start();
  }

  async settled(): Promise<void> {
    await this.#copy?.settled();
  }

  closeStdin(): void {
    this.#input?.closeInput();
  }

  resize(columns: number, rows: number): void {
    if (this.#master !== undefined) {
      addon.setWindowSize(this.#master, columns, rows);
    }
  }

  async close(): Promise<void> {
    this.handedOver();
    this.#input?.close();
    this.#writer?.destroy();
    if (this.#copy === undefined) {
      // Never attached: the output was opened all the same.
      this.#target().destroy();
      this.#resolveDrained();
    }
    this.#copy?.stop();
    if (this.#master !== undefined) {
      closeSync(this.#master);
      this.#master = undefined;
    }
    void this.#logger?.stop();
  }

  #target(): Writable {
    if (typeof this.#output === "number") {
      // The logger keeps its own number; see Logger.handedOver.
      return new Socket({ fd: addon.duplicate(this.#output), readable: false, writable: true });
    }
    return this.#output ?? new Writable({ write: (_chunk, _encoding, done) => done() });
  }
}
