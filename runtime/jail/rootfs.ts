import { dirname } from "node:path";
import { addon } from "../../native/addon/addon.js";
import { messageOf, RuntimeError } from "../errors.js";

/** A mount as containerd describes it. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  /** Relative to the root; empty for the root itself. */
  readonly target: string;
  readonly options: readonly string[];
}

/** Flags of mount(2), named as in <linux/mount.h>. */
const MS_RDONLY = 1;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_REC = 16384;

/** Options that are flags: bits to set, or to clear. */
const FLAGS: ReadonlyMap<string, { readonly set?: number; readonly clear?: number }> = new Map([
  ["defaults", {}],
  ["ro", { set: MS_RDONLY }],
  ["rw", { clear: MS_RDONLY }],
  ["nosuid", { set: 2 }],
  ["suid", { clear: 2 }],
  ["nodev", { set: 4 }],
  ["dev", { clear: 4 }],
  ["noexec", { set: 8 }],
  ["exec", { clear: 8 }],
  ["sync", { set: 16 }],
  ["async", { clear: 16 }],
  ["remount", { set: MS_REMOUNT }],
  ["mand", { set: 64 }],
  ["nomand", { clear: 64 }],
  ["dirsync", { set: 128 }],
  ["noatime", { set: 1024 }],
  ["atime", { clear: 1024 }],
  ["nodiratime", { set: 2048 }],
  ["diratime", { clear: 2048 }],
  ["bind", { set: MS_BIND }],
  ["rbind", { set: MS_BIND | MS_REC }],
  ["relatime", { set: 1 << 21 }],
  ["norelatime", { clear: 1 << 21 }],
  ["strictatime", { set: 1 << 24 }],
  ["nostrictatime", { clear: 1 << 24 }],
]);

/** Options that change propagation: a mount(2) call of their own. */
const PROPAGATION: ReadonlyMap<string, number> = new Map([
  ["unbindable", 1 << 17],
  ["runbindable", (1 << 17) | MS_REC],
  ["private", 1 << 18],
  ["rprivate", (1 << 18) | MS_REC],
  ["slave", 1 << 19],
  ["rslave", (1 << 19) | MS_REC],
  ["shared", 1 << 20],
  ["rshared", (1 << 20) | MS_REC],
]);

/** mount(2) copies at most a page of options, and cuts off the rest without a word. */
const LONGEST_OPTIONS = 4095;

/** A mount's options, sorted by how mount(2) takes them. */
export interface MountCall {
  readonly flags: number;
  readonly propagation: readonly number[];
  readonly data: string;
  /** The directory that relative paths in `data` start from; empty for none. */
  readonly directory: string;
  /** Whose files they are instead of those on disk's; absent where they stay theirs. */
  readonly mapped?: MappedOwners;
}

/** Owners as a user namespace sees them. */
export interface MappedOwners {
  /** Lines of /proc/PID/uid_map. */
  readonly users: string;
  /** Lines of /proc/PID/gid_map. */
  readonly groups: string;
  /** The lower layers of an overlay. */
  readonly lower: readonly string[];
}

/** Sorts a mount's options, and makes an overlay's paths relative when there are too many for a page. */
export function mountCall(mount: Mount): MountCall {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  const [users, groups] = ["uidmap=", "gidmap="].map((name) => mappings(mount.options, name));
  for (const option of mount.options) {
    if (/^[ug]idmap=/.test(option)) continue;
    const flag = FLAGS.get(option);
    const propagates = PROPAGATION.get(option);
    if (flag !== undefined) {
      flags = (flags | (flag.set ?? 0)) & ~(flag.clear ?? 0);
    } else if (propagates !== undefined) {
      propagation.push(propagates);
    } else {
      data.push(option);
    }
  }
  if (mount.type === "bind") {
    flags |= MS_BIND;
  }
  const { options, directory } = shortened(mount.type, data);
  // As containerd has it: only both of them mean anything.
  const mapped = users !== undefined && groups !== undefined && { users, groups, lower: lowerLayers(mount) };
  return { flags, propagation, data: options.join(","), directory, ...(mapped && { mapped }) };
}

/** `CONTAINER:HOST:SIZE,…` as the kernel takes it. */
function mappings(options: readonly string[], name: string): string | undefined {
  const text = options.find((option) => option.startsWith(name))?.slice(name.length);
  if (text === undefined) return undefined;
  if (!/^\d+:\d+:\d+(,\d+:\d+:\d+)*$/.test(text))
    throw new RuntimeError("failed", `failed to mount rootfs component: invalid option ${name}${text}`);
  return text
    .split(",")
    .map((range) => `${range.replaceAll(":", " ")}\n`)
    .join("");
}

function lowerLayers({ type, options }: Mount): readonly string[] {
  const lower = type === "overlay" ? options.find((option) => option.startsWith("lowerdir=")) : undefined;
  return lower === undefined ? [] : lower.slice("lowerdir=".length).split(":");
}

/**
 * Mounts a container's root file system.
 *
 * @param root - existing directory, the bundle's `rootfs`
 * @throws RuntimeError `failed` naming the mount; what was mounted before is undone
 */
export async function mountRoot(root: string, mounts: readonly Mount[]): Promise<void> {
  try {
    for (const mount of mounts) {
      const { flags, propagation, data, directory, mapped } = mountCall(mount);
      const target = mount.target === "" ? root : `${root}/${mount.target}`;
      const type = mount.type === "bind" ? "" : mount.type;
      try {
        if (Buffer.byteLength(data) > LONGEST_OPTIONS) {
          throw new Error("the options do not fit a page");
        }
        if (mapped === undefined) await addon.mount(mount.source, target, type, flags, data, directory);
        else {
          const { users, groups, lower } = mapped;
          const { source } = mount;
          await addon.mountMapped(source, target, type, flags, data, directory, users, groups, lower);
        }
        // The first call of a bind mount ignores every flag but MS_REC.
        if ((flags & MS_BIND) !== 0 && (flags & MS_RDONLY) !== 0) {
          await addon.mount("", target, "", flags | MS_REMOUNT, "", "");
        }
        for (const change of propagation) {
          await addon.mount("", target, "", change, "", "");
        }
      } catch (error) {
        const what = `${mount.type} of ${mount.source} at ${target}`;
        throw new RuntimeError("failed", `failed to mount rootfs component: ${what}: ${messageOf(error)}`);
      }
    }
  } catch (error) {
    await unmountRoot(root);
    throw error;
  }
}

/** Unmounts everything mounted at the root itself. Nothing mounted, or no such directory, is no error. */
export async function unmountRoot(root: string): Promise<void> {
  await addon.unmountAll(root);
}

function shortened(
  type: string,
  options: readonly string[],
): { options: readonly string[]; directory: string } {
  const lower = options.find((option) => option.startsWith("lowerdir="));
  if (type !== "overlay" || lower === undefined || Buffer.byteLength(options.join(",")) <= LONGEST_OPTIONS) {
    return { options, directory: "" };
  }
  const folders = lower.slice("lowerdir=".length).split(":");
  const directory = commonDirectory(folders);
  if (directory === "/" || directory === "") {
    return { options, directory: "" };
  }
  const relative = folders.map((folder) => folder.slice(directory.length + 1)).join(":");
  return {
    options: options.map((option) => (option === lower ? `lowerdir=${relative}` : option)),
    directory,
  };
}

function commonDirectory(paths: readonly string[]): string {
  let common = dirname(paths[0] ?? "/");
  while (common !== "/" && common !== "." && !paths.every((path) => path.startsWith(`${common}/`))) {
    common = dirname(common);
  }
  return common === "." ? "" : common;
}
