import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFifo } from "./fifo.js";

/** The parts of a config.json that tests change. */
export interface Specification {
  ociVersion: string;
  process: ProcessSpecification;
  root: { path: string; readonly: boolean };
  hostname: string;
  mounts: { destination: string; type: string; source: string; options?: string[] }[];
  annotations: Record<string, string>;
  hooks?: Record<string, { path: string; args?: string[] }[]>;
  linux: {
    namespaces: { type: string; path?: string }[];
    cgroupsPath: string;
    resources: Record<string, unknown>;
    maskedPaths: string[];
    readonlyPaths: string[];
  };
}

/** An OCI runtime-spec Process. */
export interface ProcessSpecification {
  terminal: boolean;
  consoleSize?: { width: number; height: number };
  user: { uid: number; gid: number; additionalGids?: number[] };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<string, string[]>;
  rlimits: { type: string; soft: number; hard: number }[];
  noNewPrivileges: boolean;
}

const capabilities = [
  ...["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID"],
  ...["CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL"],
];

/** A process as `ctr` specifies one. */
export function processSpecification(args: readonly string[], terminal = false): ProcessSpecification {
  return {
    terminal,
    user: { uid: 0, gid: 0, additionalGids: [0] },
    args: [...args],
    env: [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      ...(terminal ? ["TERM=xterm"] : []),
    ],
    cwd: "/",
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 1024 }],
    noNewPrivileges: true,
  };
}

/** A container as `ctr` specifies one. */
export function specification(id: string, args: readonly string[], terminal: boolean): Specification {
  return {
    ociVersion: "1.0.2",
    process: processSpecification(args, terminal),
    root: { path: "rootfs", readonly: false },
    hostname: id,
    mounts: [
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=1777"] },
    ],
    annotations: {},
    linux: {
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      cgroupsPath: `/tine-contract-${process.pid}-${id}`,
      resources: { devices: [{ allow: false, access: "rwm" }] },
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** Makes a bundle as containerd does: config.json, rootfs/ and the log fifo. */
export async function makeBundle(path: string, contents: Specification): Promise<void> {
  await mkdir(join(path, "rootfs"), { recursive: true });
  await writeFile(join(path, "config.json"), JSON.stringify(contents));
  await makeFifo(join(path, "log"));
}
