import { closeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Child } from "../../native/addon/children.js";
import { messageOf, RuntimeError } from "../errors.js";
import type { MonitorLog } from "../monitor/log.js";
import type { Process } from "../process.js";
import type { ContainerResources } from "../resources/container-resources.js";
import type { ProcessStdio } from "../stdio.js";
import { ConsoleSocket } from "./console-socket.js";
import type { PreparedJail } from "./prepared-jail.js";
import { checkProgram } from "./program.js";
import { unmountRoot } from "./rootfs.js";
import type { JailedProcess, Runc } from "./runc.js";
import type { Program } from "./specification.js";
import type { StartGate } from "./start-gate.js";

/** What every process that enters a jail needs. */
export interface JailEntry {
  readonly jail: PreparedJail;
  readonly bundle: string;
  /** Short folder for sockets. */
  readonly stateDirectory: string;
}

/**
 * Puts one process into a jail, with its monitor's descriptors and its streams
 * or its terminal, and binds it to `process`.
 *
 * @param name - tells its files in the bundle from others'
 * @param gate - where its monitor waits, if it does
 * @param run - has runc do it
 */
export async function enterJail(
  { jail, bundle, stateDirectory }: JailEntry,
  process: Process,
  stdio: ProcessStdio,
  name: string,
  gate: StartGate | undefined,
  run: (jailed: JailedProcess) => Promise<Child>,
): Promise<void> {
  await using consoleSocket = stdio.terminal ? new ConsoleSocket(stateDirectory) : undefined;
  const { pidFile, logFile } = processFiles(bundle, name);
  const { descriptors } = stdio;
  process.adopt(
    await jail.withInherited(gate, (inherited) =>
      run({ stdio: descriptors, inherited, consoleSocket: consoleSocket?.path, pidFile, logFile }),
    ),
  );
  stdio.handedOver();
  if (consoleSocket !== undefined) {
    stdio.attachTerminal(await consoleSocket.master);
  }
}

function processFiles(bundle: string, name: string): { pidFile: string; logFile: string } {
  return { pidFile: join(bundle, `${name}.pid`), logFile: join(bundle, `${name}.log`) };
}

/** A container's jail, with its first process in it. */
export class JailedContainer {
  readonly #id: string;
  readonly #entry: JailEntry;
  readonly #log: MonitorLog;

  constructor(
    id: string,
    entry: JailEntry,
    readonly runc: Runc,
    readonly resources: ContainerResources,
    log: MonitorLog,
  ) {
    this.#id = id;
    this.#entry = entry;
    this.#log = log;
  }

  /** Whether the end of the first process ends all others. */
  get ownPidNamespace(): boolean {
    return this.#entry.jail.ownPidNamespace;
  }

  /** Lets the first program run, which has been waiting since the container was made. */
  async start(): Promise<void> {
    const { gate } = this.#entry.jail;
    if (gate === undefined) {
      await this.runc.start(this.#id);
    } else {
      gate.open();
    }
  }

  /** Removes runc's container and the root's mounts; nothing runs in it any more. */
  async remove(): Promise<void> {
    const root = join(this.#entry.bundle, "rootfs");
    if (this.#entry.jail.hasPoststopHooks) {
      await this.runc.delete(this.#id, false);
      await unmountRoot(root);
    } else {
      await Promise.all([this.runc.delete(this.#id, false), unmountRoot(root)]);
    }
  }

  /**
   * Runs a further process.
   *
   * @param document - JSON of an OCI runtime-spec Process
   * @param initPid - the first process, in whose root the program is looked for
   * @throws RuntimeError `failed` in runc's words, `invalid-argument` for a bad document
   */
  async exec(
    process: Process,
    stdio: ProcessStdio,
    document: Uint8Array,
    terminal: boolean,
    initPid: number,
  ): Promise<void> {
    const prepared = this.#entry.jail.prepareProcess(document, terminal);
    try {
      await attempt("exec", async () => {
        if (prepared.program !== undefined) {
          await checkJailedProgram("exec", initPid, prepared.program);
        }
        // Identifiers of clients are file names already: containerd checks them.
        await enterJail(this.#entry, process, stdio, `exec-${process.id}`, undefined, (jailed) =>
          this.runc.exec(this.#id, prepared.document, jailed),
        );
        stdio.begin();
        await this.resources.giveRoomToBegin(process.pid);
      });
    } finally {
      closeSync(prepared.document);
      const { pidFile, logFile } = processFiles(this.#entry.bundle, `exec-${process.id}`);
      await Promise.all([rm(pidFile, { force: true }), rm(logFile, { force: true })]);
    }
  }

  /** Closes what it holds; the container is gone. */
  close(): void {
    this.#entry.jail.close();
    this.#log.close();
  }
}

/** Gives a refusal the beginning that clients know from runc's shim. */
export async function attempt(command: "create" | "exec", work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code = error instanceof RuntimeError ? error.code : "failed";
    // Creating and starting are one command of runc's; clients know them as create.
    const message = messageOf(error).replace(/^runc run failed/, "runc create failed");
    throw new RuntimeError(code, `OCI runtime ${command} failed: ${message}`, { cause: error });
  }
}

/** {@link checkProgram}, with an error that begins as runc's own would. */
export async function checkJailedProgram(
  command: "create" | "exec",
  pid: number,
  program: Program,
): Promise<void> {
  try {
    await checkProgram(pid, program);
  } catch (error) {
    const beginning = command === "create" ? "runc create failed" : "exec failed";
    throw new RuntimeError("failed", `${beginning}: unable to start container process: ${messageOf(error)}`);
  }
}
