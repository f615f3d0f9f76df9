import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Where the kernel's control groups are mounted on this host. */
export interface Hierarchies {
  /**
   * `v1` when any controller is on a version 1 hierarchy, as on a hybrid host:
   * containers' limits are there, and the unified one has nothing to say.
   */
  readonly mode: "v1" | "v2";
  /** By controller name, or `""` for the unified hierarchy: mount point, and the path mounted there. */
  readonly mounts: ReadonlyMap<string, HierarchyMount>;
}

interface HierarchyMount {
  readonly point: string;
  /** What the mount shows of its hierarchy; "/" is all of it. */
  readonly root: string;
}

const CONTROLLERS: ReadonlySet<string> = new Set([
  "cpu",
  "cpuacct",
  "memory",
  "pids",
  "blkio",
  "hugetlb",
  "rdma",
  "devices",
  "freezer",
  "cpuset",
]);

/** Reads the hierarchies from a /proc/PID/mountinfo, see proc(5). */
export function hierarchiesOf(mountinfo: string): Hierarchies {
  const mounts = new Map<string, HierarchyMount>();
  let mode: Hierarchies["mode"] = "v2";
  for (const line of mountinfo.split("\n")) {
    const [mount, source] = line.split(" - ");
    const [, , , root, point] = (mount ?? "").split(" ");
    const [type, , options] = (source ?? "").split(" ");
    if (root === undefined || point === undefined) {
      continue;
    }
    const place = { point: unescape(point), root: unescape(root) };
    if (type === "cgroup2" && !mounts.has("")) {
      mounts.set("", place);
    } else if (type === "cgroup") {
      for (const option of (options ?? "").split(",")) {
        if (CONTROLLERS.has(option) && !mounts.has(option)) {
          mounts.set(option, place);
          mode = "v1";
        }
      }
    }
  }
  return { mode, mounts };
}

/** A process's control groups: a directory for each controller, or one under `""`. */
export type GroupDirectories = ReadonlyMap<string, string>;

/** Reads a process's directories from its /proc/PID/cgroup, see cgroups(7). */
export function groupDirectoriesOf(cgroup: string, hierarchies: Hierarchies): GroupDirectories {
  const directories = new Map<string, string>();
  for (const line of cgroup.split("\n")) {
    const [number, controllers, ...rest] = line.split(":");
    const path = rest.join(":");
    if (number === undefined || controllers === undefined || path === "") {
      continue;
    }
    for (const controller of controllers.split(",")) {
      const mount = hierarchies.mounts.get(controller);
      if (mount !== undefined) {
        directories.set(controller, join(mount.point, within(path, mount.root)));
      }
    }
  }
  return directories;
}

let known: Hierarchies | undefined;

/** This host's hierarchies, read once. */
export function hostHierarchies(): Hierarchies {
  known ??= hierarchiesOf(readFileSync("/proc/self/mountinfo", "utf8"));
  return known;
}

/** A live process's control groups. */
export function processGroups(pid: number): GroupDirectories {
  return groupDirectoriesOf(readFileSync(`/proc/${pid}/cgroup`, "utf8"), hostHierarchies());
}

function within(path: string, root: string): string {
  return root !== "/" && path.startsWith(root) ? path.slice(root.length) : path;
}

/** mountinfo writes space, tab, newline and backslash in octal. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
