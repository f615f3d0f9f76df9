import { integerOf } from "../../oci/lossless.js";
import { RuntimeError } from "../errors.js";
import { fieldsOf, listOf, textOf, textsOf, type Fields } from "./fields.js";
import { systemCallNumber, type SeccompArchitecture } from "./seccomp-numbers.js";
import {
  assemble,
  type Comparison,
  type Condition,
  type Rule,
  type SystemCallRules,
} from "./seccomp-program.js";

/** Values of linux/seccomp.h. */
const RET_KILL_PROCESS = 0x8000_0000;
const RET_KILL_THREAD = 0;
const RET_TRAP = 0x0003_0000;
const RET_ERRNO = 0x0005_0000;
const RET_TRACE = 0x7ff0_0000;
const RET_LOG = 0x7ffc_0000;
const RET_ALLOW = 0x7fff_0000;

const EPERM = 1;
const ENOSYS = 38;

const COMPARISONS: readonly string[] = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] satisfies readonly Comparison[];

const FLAGS: readonly string[] = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
];

const NATIVE: Readonly<Record<SeccompArchitecture, string>> = {
  x86_64: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
};

/** A profile made into what the kernel, and the monitor's interpreter, take. */
export interface SeccompProgram {
  /** struct sock_filter[], little-endian. */
  readonly program: Uint8Array;
  /** How many instructions that is. */
  readonly instructions: number;
  /** Names in the profile that this architecture does not have; like runc's, such rules are passed over. */
  readonly unknownNames: readonly string[];
  /** `flags` of the profile. */
  readonly flags: readonly string[];
}

/** What {@link compileSeccompProfile} is told beside the profile. */
export interface SeccompOptions {
  /** The guest's architecture; this process's own by default. */
  readonly architecture?: SeccompArchitecture;
}

/**
 * Compiles `linux.seccomp` of a config.json to classic BPF. A call is judged as runc with libseccomp judges it:
 * names the architecture does not have are passed over; a rule without arguments wins over rules with arguments for
 * the same call, else the first that fits wins; several comparisons of the same argument in one rule are
 * alternatives; a call newer than every one named answers ENOSYS where the default is to refuse, so that a libc
 * falls back to an older call.
 *
 * @param profile - `linux.seccomp` as parsed: numbers may be bigints
 * @param options - for which architecture
 * @returns the program
 * @throws RuntimeError `invalid-argument` where the profile cannot be meant as it stands, or does not fit the
 *   kernel's 4096 instructions; `unimplemented` for SCMP_ACT_NOTIFY
 */
export function compileSeccompProfile(profile: unknown, options: SeccompOptions = {}): SeccompProgram {
  const architecture = options.architecture ?? (process.arch === "arm64" ? "aarch64" : "x86_64");
  const fields = fieldsOf(profile) ?? {};
  const defaultAction = actionOf(
    fields["defaultAction"],
    fields["defaultErrnoRet"],
    "linux.seccomp.defaultAction",
  );
  const flags = flagsOf(fields["flags"]);
  const architectures = textsOf(fields["architectures"]);

  const unknownNames: string[] = [];
  const calls = new Map<number, Rule[]>();
  let newest = -1;
  for (const [index, entry] of listOf(fields["syscalls"]).entries()) {
    const where = `linux.seccomp.syscalls[${index}]`;
    const call = fieldsOf(entry);
    if (call === undefined) {
      throw invalid(where, "is not an object");
    }
    const action = actionOf(call["action"], call["errnoRet"], `${where}.action`);
    const alternatives = conditionsOf(call["args"], `${where}.args`);
    for (const name of namesOf(call, where)) {
      const number = systemCallNumber(name, architecture);
      if (number === undefined) {
        unknownNames.push(name);
        continue;
      }
      newest = Math.max(newest, number);
      if (action === defaultAction) {
        continue;
      }
      const rules = calls.get(number) ?? [];
      calls.set(number, rules);
      rules.push(...alternatives.map((conditions) => ({ conditions, action })));
    }
  }

  const program = assemble({
    architecture,
    // A list without the native architecture refuses every call, as libseccomp does.
    native: architectures.length === 0 || architectures.includes(NATIVE[architecture]),
    x32: architecture === "x86_64" && architectures.includes("SCMP_ARCH_X32"),
    foreignAction: RET_KILL_THREAD,
    defaultAction,
    newerAction: newest >= 0 && refuses(defaultAction) ? RET_ERRNO | ENOSYS : undefined,
    newest,
    calls: [...calls].map(([number, rules]): SystemCallRules => ({ number, rules: effective(rules) })),
  });
  return { program, instructions: program.length / 8, unknownNames, flags };
}

/** Of one call's rules, those that count. */
function effective(rules: readonly Rule[]): readonly Rule[] {
  const unconditional = rules.find((rule) => rule.conditions.length === 0);
  return unconditional === undefined ? rules : [unconditional];
}

/** Whether runc puts its ENOSYS answer before a profile with this default. */
function refuses(action: number): boolean {
  const kind = (action & 0xffff_0000) >>> 0;
  return kind !== RET_ALLOW && kind !== RET_LOG && kind !== RET_TRACE && action !== (RET_ERRNO | ENOSYS);
}

function actionOf(value: unknown, errnoValue: unknown, where: string): number {
  const name = textOf(value);
  const errno = errnoValue === undefined || errnoValue === null ? undefined : integerOf(errnoValue);
  const given = errnoValue !== undefined && errnoValue !== null;
  if (given && (errno === undefined || errno < 0n || errno > 0xffffn)) {
    throw invalid(where, "has an errno that is not a number from 0 to 65535");
  }
  if (given && name !== "SCMP_ACT_ERRNO" && name !== "SCMP_ACT_TRACE") {
    throw invalid(where, `has an errno, which ${name ?? "it"} does not take`);
  }
  switch (name) {
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return RET_KILL_THREAD;
    case "SCMP_ACT_KILL_PROCESS":
      return RET_KILL_PROCESS;
    case "SCMP_ACT_TRAP":
      return RET_TRAP;
    case "SCMP_ACT_ERRNO":
      return RET_ERRNO | Number(errno ?? BigInt(EPERM));
    case "SCMP_ACT_TRACE":
      return RET_TRACE | Number(errno ?? BigInt(EPERM));
    case "SCMP_ACT_LOG":
      return RET_LOG;
    case "SCMP_ACT_ALLOW":
      return RET_ALLOW;
    case "SCMP_ACT_NOTIFY":
      throw new RuntimeError(
        "unimplemented",
        `${where}: SCMP_ACT_NOTIFY needs a seccomp agent on the container's own system calls, which this runtime does not offer`,
      );
    default:
      throw invalid(where, name === undefined ? "is missing" : `is unknown: ${name}`);
  }
}

function flagsOf(value: unknown): readonly string[] {
  const flags = textsOf(value);
  for (const flag of flags) {
    if (!FLAGS.includes(flag)) {
      throw invalid("linux.seccomp.flags", `has an unknown flag: ${flag}`);
    }
  }
  return flags;
}

function namesOf(call: Fields, where: string): readonly string[] {
  const single = textOf(call["name"]);
  const names = single === undefined ? textsOf(call["names"]) : [single];
  if (names.length === 0) {
    throw invalid(`${where}.names`, "is empty");
  }
  return names;
}

/**
 * The conditions of one entry as alternatives, each a list of which all must hold. An argument named twice makes
 * every condition an alternative of its own: libseccomp takes one comparison an argument, and this is how runc
 * goes round it.
 */
function conditionsOf(value: unknown, where: string): readonly (readonly Condition[])[] {
  const conditions = listOf(value).map((entry, index): Condition => {
    const fields = fieldsOf(entry);
    const argument = integerOf(fields?.["index"]);
    if (argument === undefined || argument < 0n || argument > 5n) {
      throw invalid(`${where}[${index}].index`, "is not a number from 0 to 5");
    }
    const comparison = textOf(fields?.["op"]);
    if (comparison === undefined || !isComparison(comparison)) {
      throw invalid(
        `${where}[${index}].op`,
        comparison === undefined ? "is missing" : `is unknown: ${comparison}`,
      );
    }
    return {
      argument: Number(argument),
      comparison,
      value: wordOf(fields?.["value"], `${where}[${index}].value`),
      valueTwo: wordOf(fields?.["valueTwo"], `${where}[${index}].valueTwo`),
    };
  });
  const repeated = new Set(conditions.map((condition) => condition.argument)).size < conditions.length;
  return repeated ? conditions.map((condition) => [condition]) : [conditions];
}

function isComparison(text: string): text is Comparison {
  return COMPARISONS.includes(text);
}

/** A 64-bit operand; 0 where it is left out. */
function wordOf(value: unknown, where: string): bigint {
  if (value === undefined || value === null) {
    return 0n;
  }
  const word = integerOf(value);
  if (word === undefined || word < 0n || word > 0xffff_ffff_ffff_ffffn) {
    throw invalid(where, "is not a 64-bit number");
  }
  return word;
}

function invalid(where: string, what: string): RuntimeError {
  return new RuntimeError("invalid-argument", `${where} ${what}`);
}
