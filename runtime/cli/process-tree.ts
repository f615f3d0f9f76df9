import { readFileSync } from "node:fs";

/** One process of a container. */
export interface TreeEntry {
  readonly pid: number;
  /** How many of the processes listed are its ancestors. */
  readonly depth: number;
  /** Bytes in memory, and those of them that no other process shares. */
  readonly resident: number;
  readonly own: number;
  readonly command: string;
}

/** The processes as a tree, parents before their children. Those that end meanwhile are left out. */
export function processTree(pids: readonly number[]): TreeEntry[] {
  const parents = new Map<number, number>();
  for (const pid of pids) {
    const parent = parentOf(pid);
    if (parent !== undefined) parents.set(pid, parent);
  }
  const entries: TreeEntry[] = [];
  const visit = (pid: number, depth: number): void => {
    const entry = describe(pid, depth);
    if (entry !== undefined) entries.push(entry);
    for (const [child, parent] of parents) if (parent === pid) visit(child, depth + 1);
  };
  for (const [pid, parent] of parents) if (!parents.has(parent)) visit(pid, 0);
  return entries;
}

function parentOf(pid: number): number | undefined {
  const match = /^PPid:\s+(\d+)$/m.exec(read(pid, "status") ?? "");
  return match === null ? undefined : Number(match[1]);
}

function describe(pid: number, depth: number): TreeEntry | undefined {
  const memory = read(pid, "smaps_rollup");
  const commandLine = read(pid, "cmdline");
  if (memory === undefined || commandLine === undefined) return undefined;
  const bytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(memory)?.[1] ?? 0);
  return {
    pid,
    depth,
    resident: bytes("Rss"),
    own: bytes("Private_Clean") + bytes("Private_Dirty"),
    command: commandLine.split("\0").join(" ").trim(),
  };
}

function read(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}
