import { boolean, list, object, oneOf, optional, record, refined, text, type TypeOf } from "../schema.js";
import { absolutePath, int64, nonEmpty, uint32 } from "./common.js";
import { resources } from "./resources.js";
import { seccomp } from "./seccomp.js";

/** config-linux.md, "Namespaces". */
export const namespace = object({
  type: oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"),
  path: optional(text((value) => value === "" || value.startsWith("/"), "an absolute path")),
});

/** config-linux.md, "User namespace mappings". */
export const idMapping = object({ containerID: uint32, hostID: uint32, size: uint32 });

/** config-linux.md, "Devices". */
export const device = object({
  type: oneOf("c", "b", "u", "p"),
  path: absolutePath,
  major: optional(int64),
  minor: optional(int64),
  fileMode: optional(uint32),
  uid: optional(uint32),
  gid: optional(uint32),
});

const timeOffset = object({ secs: optional(int64), nanosecs: optional(uint32) });

/** config-linux.md. */
export const linux = object({
  uidMappings: optional(list(idMapping)),
  gidMappings: optional(list(idMapping)),
  timeOffsets: optional(record(timeOffset)),
  sysctl: optional(record(text())),
  resources: optional(resources),
  cgroupsPath: optional(text()),
  namespaces: optional(
    refined(list(namespace), function* (namespaces) {
      const seen = new Set<string>();
      for (const [index, { type }] of namespaces.entries()) {
        if (seen.has(type)) yield [`[${index}]`, `the namespace ${type} is there twice`];
        seen.add(type);
      }
    }),
  ),
  devices: optional(list(device)),
  netDevices: optional(record(object({ name: optional(text()) }))),
  seccomp: optional(seccomp),
  rootfsPropagation: optional(
    oneOf("", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable"),
  ),
  maskedPaths: optional(list(absolutePath)),
  readonlyPaths: optional(list(absolutePath)),
  mountLabel: optional(text()),
  intelRdt: optional(
    object({
      closID: optional(text()),
      l3CacheSchema: optional(text()),
      memBwSchema: optional(text()),
      schemata: optional(list(text())),
      enableCMT: optional(boolean()),
      enableMBM: optional(boolean()),
      enableMonitoring: optional(boolean()),
    }),
  ),
  memoryPolicy: optional(object({ mode: nonEmpty, nodes: optional(text()), flags: optional(list(text())) })),
  personality: optional(object({ domain: oneOf("LINUX", "LINUX32"), flags: optional(list(text())) })),
});

export type Namespace = TypeOf<typeof namespace>;
export type IdMapping = TypeOf<typeof idMapping>;
export type Device = TypeOf<typeof device>;
export type Linux = TypeOf<typeof linux>;
