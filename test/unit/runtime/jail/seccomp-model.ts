import { systemCallNumber } from "../../../../runtime/jail/seccomp-numbers.js";

/** struct seccomp_data, without the instruction pointer. */
export interface Call {
  readonly number: number;
  readonly architecture: number;
  readonly args: readonly bigint[];
}

/** What happens to a call. */
export type Verdict =
  { readonly kind: "kill" | "allow" | "trap" | "log" } | { readonly kind: "errno"; readonly value: number };

interface ModelProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls?: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly {
      readonly index: number;
      readonly value: number | bigint;
      readonly valueTwo?: number | bigint;
      readonly op: string;
    }[];
  }[];
}

/** The verdict by the profile itself: each rule looked at in turn, as the specification and runc say. */
export function judge(profile: ModelProfile, call: Call): Verdict {
  const byDefault = verdictOf(profile.defaultAction, profile.defaultErrnoRet);
  const rules = (profile.syscalls ?? [])
    .filter((rule) => rule.names.some((name) => systemCallNumber(name, "x86_64") === call.number))
    .filter((rule) => !same(verdictOf(rule.action, rule.errnoRet), byDefault));
  const unconditional = rules.find((rule) => (rule.args ?? []).length === 0);
  if (unconditional !== undefined) {
    return verdictOf(unconditional.action, unconditional.errnoRet);
  }
  for (const rule of rules) {
    const args = rule.args ?? [];
    const holds = args.map((arg) =>
      compare(call.args[arg.index] ?? 0n, arg.op, BigInt(arg.value), BigInt(arg.valueTwo ?? 0)),
    );
    const repeated = new Set(args.map((arg) => arg.index)).size < args.length;
    if (repeated ? holds.includes(true) : !holds.includes(false)) {
      return verdictOf(rule.action, rule.errnoRet);
    }
  }
  const named = (profile.syscalls ?? [])
    .flatMap((rule) => rule.names.map((name) => systemCallNumber(name, "x86_64")))
    .filter((number) => number !== undefined);
  const refuses = byDefault.kind !== "allow" && byDefault.kind !== "log";
  return refuses && named.length > 0 && call.number > Math.max(...named)
    ? { kind: "errno", value: 38 }
    : byDefault;
}

function same(one: Verdict, other: Verdict): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function verdictOf(action: string, errno = 1): Verdict {
  switch (action) {
    case "SCMP_ACT_ALLOW":
      return { kind: "allow" };
    case "SCMP_ACT_LOG":
      return { kind: "log" };
    case "SCMP_ACT_TRAP":
      return { kind: "trap" };
    case "SCMP_ACT_ERRNO":
      return { kind: "errno", value: errno };
    default:
      return { kind: "kill" };
  }
}

function compare(argument: bigint, comparison: string, value: bigint, valueTwo: bigint): boolean {
  switch (comparison) {
    case "SCMP_CMP_NE":
      return argument !== value;
    case "SCMP_CMP_LT":
      return argument < value;
    case "SCMP_CMP_LE":
      return argument <= value;
    case "SCMP_CMP_EQ":
      return argument === value;
    case "SCMP_CMP_GE":
      return argument >= value;
    case "SCMP_CMP_GT":
      return argument > value;
    default:
      return (argument & value) === (valueTwo & value);
  }
}

/**
 * Runs a program as the kernel's interpreter would, with the few instructions that profiles use.
 *
 * @param step - called for each instruction
 */
export function runProgram(program: Uint8Array, call: Call, step: () => void = () => undefined): Verdict {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.number, true);
  data.setUint32(4, call.architecture, true);
  call.args.forEach((value, index) => data.setBigUint64(16 + 8 * index, value, true));
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let a = 0;
  for (let at = 0; at < view.byteLength / 8; at += 1) {
    step();
    const k = view.getUint32(at * 8 + 4, true);
    const jump = (holds: boolean) => {
      at += view.getUint8(at * 8 + (holds ? 2 : 3));
    };
    const code = view.getUint16(at * 8, true);
    switch (code) {
      case 0x20:
        a = data.getUint32(k, true);
        break;
      case 0x54:
        a = (a & k) >>> 0;
        break;
      case 0x05:
        at += k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x25:
        jump(a > k);
        break;
      case 0x35:
        jump(a >= k);
        break;
      case 0x06:
        return verdictOfValue(k);
      default:
        throw new RangeError(`opcode ${code}`);
    }
  }
  throw new RangeError("the program has no end");
}

function verdictOfValue(value: number): Verdict {
  switch ((value & 0xffff_0000) >>> 0) {
    case 0x7fff_0000:
      return { kind: "allow" };
    case 0x7ffc_0000:
      return { kind: "log" };
    case 0x0005_0000:
      return { kind: "errno", value: value & 0xffff };
    case 0x0003_0000:
      return { kind: "trap" };
    default:
      return { kind: "kill" };
  }
}
