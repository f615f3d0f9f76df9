import { boolean, list, object, oneOf, optional, refined, text, type TypeOf } from "../schema.js";
import { absolutePath, int, int32, uint, uint32, uint64 } from "./common.js";

const strings = list(text());

/** config.md, "POSIX-platform User". */
export const user = object({
  uid: uint32,
  gid: uint32,
  umask: optional(uint32),
  additionalGids: optional(list(uint32)),
  username: optional(text()),
});

/** config.md, "Linux Process": names such as `CAP_SYS_ADMIN`. */
export const capabilities = object({
  bounding: optional(strings),
  effective: optional(strings),
  inheritable: optional(strings),
  permitted: optional(strings),
  ambient: optional(strings),
});

/** config.md, "POSIX process": a limit as `getrlimit(2)` names it. */
export const rlimit = refined(
  object({
    type: text((value) => /^RLIMIT_[A-Z]+$/.test(value), "the name of a limit"),
    hard: uint64,
    soft: uint64,
  }),
  function* ({ soft, hard }) {
    if (soft > hard) yield ["soft", `${soft} is more than the hard limit, ${hard}`];
  },
);

export const scheduler = object({
  policy: oneOf(
    "SCHED_OTHER",
    "SCHED_FIFO",
    "SCHED_RR",
    "SCHED_BATCH",
    "SCHED_ISO",
    "SCHED_IDLE",
    "SCHED_DEADLINE",
  ),
  nice: optional(int32),
  priority: optional(int32),
  flags: optional(strings),
  runtime: optional(uint64),
  deadline: optional(uint64),
  period: optional(uint64),
});

export const ioPriority = object({
  class: oneOf("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"),
  priority: optional(int32),
});

export const execCpuAffinity = object({ initial: optional(text()), final: optional(text()) });

/** config.md, "Process"; also what `Exec` is given. */
export const process = object({
  terminal: optional(boolean()),
  consoleSize: optional(object({ height: uint, width: uint })),
  user: optional(user),
  args: optional(list(text(), 1)),
  commandLine: optional(text()),
  env: optional(strings),
  cwd: absolutePath,
  capabilities: optional(capabilities),
  rlimits: optional(
    refined(list(rlimit), function* (limits) {
      const seen = new Set<string>();
      for (const [index, { type }] of limits.entries()) {
        if (seen.has(type)) yield [`[${index}]`, `${type} is there twice`];
        seen.add(type);
      }
    }),
  ),
  noNewPrivileges: optional(boolean()),
  apparmorProfile: optional(text()),
  oomScoreAdj: optional(int),
  scheduler: optional(scheduler),
  selinuxLabel: optional(text()),
  ioPriority: optional(ioPriority),
  execCPUAffinity: optional(execCpuAffinity),
});

export type User = TypeOf<typeof user>;
export type Capabilities = TypeOf<typeof capabilities>;
export type Rlimit = TypeOf<typeof rlimit>;
export type Process = TypeOf<typeof process>;
