import { list, object, oneOf, optional, text, type TypeOf } from "../schema.js";
import { absolutePath, uint, uint64 } from "./common.js";

export const seccompAction = oneOf(
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
);

export const seccompOperator = oneOf(
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
);

export const seccompArgument = object({
  index: uint,
  value: uint64,
  valueTwo: optional(uint64),
  op: seccompOperator,
});

export const seccompRule = object({
  names: list(text(), 1),
  action: seccompAction,
  errnoRet: optional(uint),
  args: optional(list(seccompArgument)),
});

/** config-linux.md, "Seccomp". */
export const seccomp = object({
  defaultAction: seccompAction,
  defaultErrnoRet: optional(uint),
  architectures: optional(
    list(text((value) => value.startsWith("SCMP_ARCH_"), "the name of an architecture")),
  ),
  flags: optional(list(text())),
  listenerPath: optional(absolutePath),
  listenerMetadata: optional(text()),
  syscalls: optional(list(seccompRule)),
});

export type SeccompAction = TypeOf<typeof seccompAction>;
export type SeccompOperator = TypeOf<typeof seccompOperator>;
export type SeccompArgument = TypeOf<typeof seccompArgument>;
export type SeccompRule = TypeOf<typeof seccompRule>;
export type Seccomp = TypeOf<typeof seccomp>;
