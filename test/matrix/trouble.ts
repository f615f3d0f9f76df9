import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PrivateContainerd } from "../harness/containerd.js";
import { EventGate, type Manner } from "../harness/event-gate.js";

/** What one kind of trouble does, by its name. */
export type Deeds = Readonly<Record<string, () => Promise<void>>>;

/** The program that a case calls: it says what is to be done, and waits until it is. */
const asking = `
  const socket = require("net").connect(process.argv[1]);
  let answer = "";
  socket.on("data", (text) => (answer += text));
  socket.on("end", () => { if (answer !== "done") { console.log(answer || "no answer"); process.exitCode = 1; } });
  socket.end(process.argv[2]);`;

/** How long a containerd that is to end by itself has for it, milliseconds. */
const endLimit = 20_000;

/**
 * Makes the trouble that cases ask for, with daemons that belong to this process: `trouble down` ends containerd as
 * kill -9 does, `trouble back` starts it again. After `trouble watch` shims that are started talk to it through a gate,
 * where `trouble lost`, `repeated` and `fatal` see to what becomes of a container's end (test/harness/event-gate.ts);
 * `trouble none` takes it away. `trouble mend` takes back what a case left.
 */
export class Trouble implements AsyncDisposable {
  private gate: EventGate | undefined;
  private killed: Promise<void> | undefined;

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
    private readonly containerd: PrivateContainerd,
    private readonly others: Deeds,
  ) {}

  /** @param others further kinds, by name; `mend` among them takes back what they left */
  static async start(containerd: PrivateContainerd, others: Deeds = {}): Promise<Trouble> {
    const folder = await mkdtemp(join(tmpdir(), "tine-t-"));
    const trouble = new Trouble(folder, createServer({ allowHalfOpen: true }), containerd, others);
    trouble.server.on("connection", (socket) => {
      let name = "";
      socket.on("error", () => socket.destroy());
      socket.on("data", (text) => (name += text.toString()));
      socket.on("end", () => {
        void trouble.make(name).then(
          () => socket.end("done"),
          (error: unknown) => socket.end(String(error)),
        );
      });
    });
    await new Promise<void>((resolve) => trouble.server.listen(trouble.socket, resolve));
    return trouble;
  }

  private get socket(): string {
    return join(this.folder, "socket");
  }

  /** The command line that makes it, to which the kind is added. */
  get word(): readonly string[] {
    return [process.execPath, "-e", asking, this.socket];
  }

  private async make(name: string): Promise<void> {
    const kinds: Deeds = {
      down: () => this.containerd.kill(),
      back: () => this.back(),
      watch: () => this.told("passes"),
      none: () => this.calm(false),
      lost: () => this.told("lost"),
      repeated: () => this.told("repeated"),
      fatal: () => this.told("fatal"),
      ...this.others,
      mend: () => this.mend(),
    };
    const deed = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (deed === undefined) throw new Error(`no such trouble: ${name}`);
    await deed();
  }

  private async told(manner: Manner): Promise<void> {
    this.gate ??= await EventGate.open(this.containerd.ttrpcAddress, () => {
      this.killed ??= this.containerd.kill();
    });
    this.gate.manner = manner;
  }

  private async back(): Promise<void> {
    const deadline = Date.now() + endLimit;
    while (this.gate?.manner === "fatal" && this.killed === undefined && Date.now() < deadline)
      await sleep(20);
    await this.killed;
    const ended = this.containerd.pid === undefined;
    this.killed = undefined;
    if (ended) await this.containerd.launch();
    await this.calm(ended);
    if (!ended) throw new Error("containerd has not heard of an end");
  }

  /** What a case left. */
  private async mend(): Promise<void> {
    const ended = this.containerd.pid === undefined;
    if (ended) await this.containerd.launch();
    await this.calm(ended);
    await this.others["mend"]?.();
  }

  private async calm(replaced: boolean): Promise<void> {
    const gate = this.gate;
    this.gate = undefined;
    await gate?.close(replaced);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.calm(this.containerd.pid === undefined);
    this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
