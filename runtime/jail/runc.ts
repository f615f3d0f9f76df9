import { accessSync, closeSync, constants, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addon } from "../../native/addon/addon.js";
import {
  adoptChild,
  keepingOrphans,
  spawnChild,
  type Child,
  type Exit,
} from "../../native/addon/children.js";
import { RuntimeError, systemCodeOf } from "../errors.js";
import { readToEnd } from "./read-to-end.js";

/** A process that runc is to put into a jail. */
export interface JailedProcess {
  /** Its descriptors 0, 1 and 2. */
  readonly stdio: readonly [number, number, number];
  /** Its descriptors from 3 upwards. */
  readonly inherited: readonly number[];
  /** Where runc sends the master of its terminal; undefined without one. */
  readonly consoleSocket: string | undefined;
  /** Files runc writes for us, in the bundle; the process's name keeps them apart. */
  readonly pidFile: string;
  readonly logFile: string;
}

/**
 * runc, as a command. Every call starts the binary once; none is made that the
 * kernel can answer as well. Errors carry runc's own text.
 */
export class Runc {
  readonly #binary: string;
  readonly #globals: readonly string[];
  readonly #environment: readonly string[];

  /**
   * @param binary - its path, or a name to look up in PATH
   * @param root - folder of runc's own state; containers of other roots are strangers
   * @throws RuntimeError `failed` when there is no such program
   */
  constructor(binary: string, root: string, systemdCgroup: boolean) {
    this.#binary = findBinary(binary);
    this.#globals = ["--root", root, "--log-format", "json", ...(systemdCgroup ? ["--systemd-cgroup"] : [])];
    this.#environment = [`PATH=${process.env["PATH"] ?? ""}`];
  }

  /** Makes the container; its process waits to be started. */
  create(id: string, bundle: string, jailed: JailedProcess): Promise<Child> {
    return this.#jail(["create", "--bundle", bundle], [id], jailed);
  }

  /** Makes the container and starts its process at once, which is to wait by itself. */
  run(id: string, bundle: string, jailed: JailedProcess): Promise<Child> {
    return this.#jail(["run", "--detach", "--bundle", bundle], [id], jailed);
  }

  /**
   * Runs one more process in the container.
   *
   * @param processDocument - descriptor of the process's JSON
   */
  exec(id: string, processDocument: number, jailed: JailedProcess): Promise<Child> {
    const descriptor = 3 + jailed.inherited.length;
    const process = ["--process", `/proc/self/fd/${descriptor}`];
    return this.#jail(["exec", "--detach", ...process], [id], jailed, [processDocument]);
  }

  async start(id: string): Promise<void> {
    await this.#run(["start", id]);
  }

  /** @param force - also when it runs still, or does not exist any more */
  async delete(id: string, force: boolean): Promise<void> {
    await this.#run(force ? ["delete", "--force", id] : ["delete", id]);
  }

  async kill(id: string, signal: number, everyProcess: boolean): Promise<void> {
    await this.#run(["kill", ...(everyProcess ? ["--all"] : []), id, String(signal)]);
  }

  async pause(id: string): Promise<void> {
    await this.#run(["pause", id]);
  }

  async resume(id: string): Promise<void> {
    await this.#run(["resume", id]);
  }

  /** @param resources - JSON of LinuxResources, passed on as it is */
  async update(id: string, resources: Uint8Array): Promise<void> {
    const document = addon.sealedMemory("resources", resources);
    try {
      await this.#run(["update", "--resources", "-", id], document);
    } finally {
      closeSync(document);
    }
  }

  async #jail(
    command: readonly string[],
    positional: readonly string[],
    jailed: JailedProcess,
    further: readonly number[] = [],
  ): Promise<Child> {
    const { stdio, inherited, consoleSocket, pidFile, logFile } = jailed;
    const args = [
      ...this.#globals,
      "--log",
      logFile,
      ...command,
      "--pid-file",
      pidFile,
      "--preserve-fds",
      String(inherited.length),
      ...(consoleSocket === undefined ? [] : ["--console-socket", consoleSocket]),
      ...positional,
    ];
    // The process's parent is gone when runc is: until its number is known,
    // its exit must not be taken for an unknown orphan's.
    return keepingOrphans(async () => {
      const exit = await this.#spawn(args, [...stdio, ...inherited, ...further]).exited;
      if (exit.status !== 0) {
        throw failure(exit, readIfThere(logFile));
      }
      return adoptChild(Number(readFileSync(pidFile, "utf8")));
    });
  }

  async #run(command: readonly string[], stdin?: number): Promise<void> {
    const nothing = openSync("/dev/null", "r+");
    const [reading, writing] = addon.pipe(true);
    let runc: Child;
    try {
      runc = this.#spawn([...this.#globals, ...command], [stdin ?? nothing, nothing, writing]);
    } catch (error) {
      closeSync(reading);
      throw error;
    } finally {
      closeSync(nothing);
      closeSync(writing);
    }
    const exit = await runc.exited;
    // Without --log the same lines go to standard error. A hook that lives on
    // may hold the pipe open, so what is there now is all that is waited for.
    const log = readToEnd(reading);
    if (exit.status !== 0) {
      throw failure(exit, log);
    }
  }

  #spawn(args: readonly string[], descriptors: readonly number[]): Child {
    return spawnChild({ file: this.#binary, args, environment: this.#environment, descriptors });
  }
}

/**
 * The error of a failed command. runc logs one JSON object a line; the last
 * error is the one that ended it.
 */
function failure(exit: Exit, log: string): RuntimeError {
  let message: string | undefined;
  for (const line of log.split("\n")) {
    message = errorIn(line) ?? message;
  }
  message ??= log.trim() === "" ? `runc ended with status ${exit.status}` : log.trim();
  // Clients know "not found" by its code; runc has only words for it.
  const code = /container does not exist|process already finished|container not running/.test(message)
    ? "not-found"
    : "failed";
  return new RuntimeError(code, message);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === undefined) {
      throw error;
    }
    return "";
  }
}

function errorIn(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry === "object" && entry !== null && "level" in entry && "msg" in entry) {
      const fatal = entry.level === "error" || entry.level === "fatal";
      return fatal && typeof entry.msg === "string" ? entry.msg : undefined;
    }
  } catch {
    // A hook's own words, or a line cut short.
  }
  return undefined;
}

function findBinary(binary: string): string {
  const candidates = binary.includes("/")
    ? [binary]
    : (process.env["PATH"] ?? "").split(":").map((folder) => join(folder, binary));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch (error) {
      if (systemCodeOf(error) === undefined) {
        throw error;
      }
    }
  }
  throw new RuntimeError("failed", `exec: ${JSON.stringify(binary)}: executable file not found in $PATH`);
}
