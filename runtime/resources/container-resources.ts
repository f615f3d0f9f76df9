import { readFile, readdir } from "node:fs/promises";
import { RuntimeError, systemCodeOf } from "../errors.js";
import { hostHierarchies, processGroups, type GroupDirectories, type Hierarchies } from "./groups.js";
import { watchOutOfMemory } from "./out-of-memory.js";
import { giveRoomToBegin, hasMachine, isOutOfReach, lookAt } from "./room-to-begin.js";
import { statisticsV1 } from "./statistics-v1.js";
import { statisticsV2 } from "./statistics-v2.js";

/** A container's statistics, in the shape of containerd's message for the host's kind of control groups. */
export type Statistics =
  | { readonly mode: "v1"; readonly metrics: Awaited<ReturnType<typeof statisticsV1>> }
  | { readonly mode: "v2"; readonly metrics: Awaited<ReturnType<typeof statisticsV2>> };

/** A container's control groups, found through one of its processes and remembered. */
export class ContainerResources {
  readonly #directories: GroupDirectories;
  readonly #mode: Hierarchies["mode"];
  /** One after the other: each puts back the limit that it found. */
  #roomGiven: Promise<void> = Promise.resolve();

  private constructor(directories: GroupDirectories, mode: Hierarchies["mode"]) {
    this.#directories = directories;
    this.#mode = mode;
  }

  /** @param pid - a live process of the container */
  static of(pid: number): ContainerResources {
    return new ContainerResources(processGroups(pid), hostHierarchies().mode);
  }

  /** @throws RuntimeError `not-found` when the control group is gone */
  async statistics(): Promise<Statistics> {
    await this.processes();
    return this.#mode === "v1"
      ? { mode: "v1", metrics: await statisticsV1(this.#directories) }
      : { mode: "v2", metrics: await statisticsV2(this.#directories) };
  }

  /**
   * The host's identifiers of all the container's processes.
   *
   * @throws RuntimeError `not-found` when the control group is gone
   */
  async processes(): Promise<readonly number[]> {
    const directory = this.#directories.get(this.#mode === "v1" ? "pids" : "") ?? this.#any();
    try {
      return await processesUnder(directory);
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") {
        throw new RuntimeError("not-found", "cgroup does not exist", { cause: error });
      }
      throw error;
    }
  }

  /**
   * Calls back each time a process of the container was killed for want of memory.
   *
   * @returns stops it
   */
  watchOutOfMemory(onKill: () => void): Disposable {
    const directory = this.#directories.get(this.#mode === "v1" ? "memory" : "");
    return watchOutOfMemory(this.#mode, directory, onKill);
  }

  /**
   * Lets a process that has entered the container make its machine, though the container be at its limit of
   * processes. Where that limit cannot be changed the process waits for room by itself.
   *
   * @param pid - its number on the host
   */
  giveRoomToBegin(pid: number): Promise<void> {
    const directory = this.#directories.get(this.#mode === "v1" ? "pids" : "");
    if (directory === undefined) return Promise.resolve();
    const given = this.#roomGiven.then(async () => {
      try {
        await giveRoomToBegin(directory, () => hasMachine(lookAt(pid)));
      } catch (error) {
        if (!isOutOfReach(error)) throw error;
      }
    });
    this.#roomGiven = given.catch(() => undefined);
    return given;
  }

  #any(): string {
    for (const directory of this.#directories.values()) {
      return directory;
    }
    throw new RuntimeError("not-found", "cgroup does not exist");
  }
}

async function processesUnder(directory: string): Promise<readonly number[]> {
  const [own, entries] = await Promise.all([
    readFile(`${directory}/cgroup.procs`, "utf8").catch((error: unknown) => {
      // EOPNOTSUPP: a threaded group; its processes are listed above it.
      if (systemCodeOf(error) === "EOPNOTSUPP" || systemCodeOf(error) === "ENOTSUP") {
        return "";
      }
      throw error;
    }),
    readdir(directory, { withFileTypes: true }),
  ]);
  const below = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => processesUnder(`${directory}/${entry.name}`)),
  );
  const pids = own
    .split("\n")
    .filter((line) => line !== "")
    .map(Number);
  return [...pids, ...below.flat()];
}
