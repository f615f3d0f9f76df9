import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PrivateContainerd } from "../harness/containerd.js";

/** What is there of containers: everything that has to be gone when they are. */
export interface Remains {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly groups: readonly string[];
  readonly bundles: readonly string[];
  readonly jails: readonly string[];
}

/** What is left of containers of containerd's namespace whose ids begin with `prefix`. */
export async function remainsOf(
  containerd: PrivateContainerd,
  prefix: string,
  namespace = "tine-test",
): Promise<Remains> {
  const bundles = join(containerd.folder, "state/io.containerd.runtime.v2.task", namespace);
  const [processes, mounts, groups] = await Promise.all([
    processesOf(prefix),
    readFile("/proc/self/mounts", "utf8"),
    foldersNamed("/sys/fs/cgroup", prefix, 4),
  ]);
  return {
    processes,
    mounts: mounts.split("\n").filter((line) => line.includes(`${bundles}/${prefix}`)),
    groups,
    bundles: (await namesIn(bundles)).filter((name) => name.startsWith(prefix)),
    jails: await foldersNamed("/run/tine", prefix, 3),
  };
}

export const nothing: Remains = { processes: [], mounts: [], groups: [], bundles: [], jails: [] };

/** Processes in a container's control group, and runc's that name one. */
async function processesOf(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await namesIn("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
    const [groups, commandLine] = await Promise.all([read("cgroup"), read("cmdline")]);
    const words = commandLine.split("\0");
    const isRunc = words[0]?.endsWith("runc") === true && words.some((word) => word.startsWith(prefix));
    if (groups.includes(`/${prefix}`) || isRunc) found.push(words.join(" ").trim());
  }
  return found;
}

async function foldersNamed(folder: string, prefix: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory());
  const own = folders.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => join(folder, name));
  if (depth === 0) return own;
  const below = await Promise.all(
    folders.map(({ name }) => foldersNamed(join(folder, name), prefix, depth - 1)),
  );
  return [...own, ...below.flat()];
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
