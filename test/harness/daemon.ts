import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between SIGTERM and SIGKILL. */
const patience = 30_000;

/** A program that runs until it is told to end, and writes to a log of its own. */
export class Daemon implements AsyncDisposable {
  private readonly process: ChildProcess;
  private failure: Error | undefined;

  /**
   * Starts one.
   *
   * @param log where its output goes: added to what is there
   */
  constructor(
    readonly name: string,
    command: readonly string[],
    private readonly logPath: string,
    options: { directory: string; environment?: NodeJS.ProcessEnv },
  ) {
    const log = openSync(logPath, "a");
    const [program = "", ...args] = command;
    this.process = spawn(program, args, {
      stdio: ["ignore", log, log],
      env: options.environment ?? process.env,
      cwd: options.directory,
      // A Ctrl-C on the terminal is for us: daemons are stopped in order.
      detached: true,
    });
    closeSync(log);
    this.process.once("error", (error) => (this.failure = error));
  }

  /** What it wrote. */
  get log(): string {
    return readFileSync(this.logPath, "utf8");
  }

  get running(): boolean {
    return this.failure === undefined && this.process.exitCode === null && this.process.signalCode === null;
  }

  /**
   * Waits until it answers.
   *
   * @throws {Error} with its log's end when it ends before, or does not in time
   */
  async ready(answers: () => Promise<boolean>, limit: number): Promise<void> {
    const deadline = Date.now() + limit;
    while (!(await answers())) {
      if (!this.running || Date.now() > deadline) {
        const reason =
          this.failure?.message ?? (this.running ? `no answer in ${limit / 1000} s` : "it ended");
        throw new Error(`${this.name}: ${reason}\n${this.log.trimEnd().split("\n").slice(-15).join("\n")}`);
      }
      await sleep(100);
    }
  }

  /** Ends it without asking. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const ended = new Promise<void>((resolve) => this.process.once("exit", () => resolve()));
    this.process.kill("SIGKILL");
    await ended;
  }

  /** Asks it to end, and ends it when it does not. */
  async stop(): Promise<void> {
    if (!this.running) return;
    const ended = new Promise<void>((resolve) => this.process.once("exit", () => resolve()));
    this.process.kill("SIGTERM");
    const force = setTimeout(() => this.process.kill("SIGKILL"), patience);
    await ended;
    clearTimeout(force);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
