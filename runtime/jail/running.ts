import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { integerOf } from "../../oci/lossless.js";
import { RuntimeError } from "../errors.js";
import { fieldsOf, textOf, textsOf } from "./fields.js";

/** A container that runs on this machine, as its jail's state tells. */
export interface RunningContainer {
  readonly id: string;
  /** containerd's namespace; undefined for a bundle that lies elsewhere. */
  readonly namespace: string | undefined;
  /** Folder with its config.json and the monitors' reports. */
  readonly bundle: string;
  /** The host's number of its first process. */
  readonly pid: number;
}

/**
 * All containers whose first process lives, sorted by id.
 *
 * @param root - the folder of all state: `runtime.root` of tine.toml
 */
export function runningContainers(root: string): RunningContainer[] {
  const found: RunningContainer[] = [];
  for (const daemon of entries(root)) {
    for (const id of entries(join(root, daemon, "runc"))) {
      const container = readState(join(root, daemon, "runc", id, "state.json"));
      if (container !== undefined) found.push(container);
    }
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * The container of that id, or of an id that alone begins so.
 *
 * @throws {RuntimeError} `not-found` when no container runs that is meant, or several begin so
 */
export function findContainer(root: string, id: string): RunningContainer {
  const containers = runningContainers(root);
  const exact = containers.find((container) => container.id === id);
  const alike = exact === undefined ? containers.filter((container) => container.id.startsWith(id)) : [exact];
  const [found, ...others] = alike;
  if (found === undefined) {
    throw new RuntimeError(
      "not-found",
      `no container ${JSON.stringify(id)} runs in Tine; tine ps lists those that do`,
    );
  }
  if (others.length > 0) {
    const names = alike.map((container) => container.id).join(", ");
    throw new RuntimeError(
      "not-found",
      `${alike.length} containers begin with ${JSON.stringify(id)}: ${names}`,
    );
  }
  return found;
}

function readState(path: string): RunningContainer | undefined {
  try {
    const state = fieldsOf(JSON.parse(readFileSync(path, "utf8")));
    const id = textOf(state?.["id"]);
    const pid = Number(integerOf(state?.["init_process_pid"]) ?? 0n);
    const labels = textsOf(fieldsOf(state?.["config"])?.["labels"]);
    const bundle = labels.find((label) => label.startsWith("bundle="))?.slice("bundle=".length);
    if (id === undefined || bundle === undefined || !isTheSame(pid, state?.["init_process_start"]))
      return undefined;
    // …/io.containerd.runtime.v2.task/NAMESPACE/ID
    const isTask = basename(dirname(dirname(bundle))) === "io.containerd.runtime.v2.task";
    return { id, pid, bundle, namespace: isTask ? basename(dirname(bundle)) : undefined };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

/** Whether the process is the one that started then, and no later one of the same number. */
function isTheSame(pid: number, started: unknown): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return afterName[19] === String(started) && afterName[0] !== "Z";
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") throw error;
    return [];
  }
}
