import { RuntimeError } from "../errors.js";
import type { SeccompArchitecture } from "./seccomp-numbers.js";

/** How an argument, as an unsigned 64-bit number, is compared. MASKED_EQ: (argument & value) = (valueTwo & value). */
export type Comparison =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

/** One comparison of one argument. */
export interface Condition {
  readonly argument: number;
  readonly comparison: Comparison;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** All conditions hold: this action (a SECCOMP_RET_ value with its data). */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly action: number;
}

/** The rules of one call, of which the first that fits counts. */
export interface SystemCallRules {
  readonly number: number;
  readonly rules: readonly Rule[];
}

/** A profile by numbers. */
export interface Filter {
  readonly architecture: SeccompArchitecture;
  /** Whether calls of this architecture are judged at all. */
  readonly native: boolean;
  /** Whether x32 calls are judged by the same rules, instead of as a foreign architecture's. */
  readonly x32: boolean;
  readonly foreignAction: number;
  readonly defaultAction: number;
  /** For numbers above `newest`, if they are treated apart. */
  readonly newerAction: number | undefined;
  readonly newest: number;
  readonly calls: readonly SystemCallRules[];
}

/** BPF_MAXINSNS of linux/bpf_common.h. */
const MAX_INSTRUCTIONS = 4096;

/** AUDIT_ARCH_ values of linux/audit.h. */
const AUDIT_ARCHITECTURE: Readonly<Record<SeccompArchitecture, number>> = {
  x86_64: 0xc000_003e,
  aarch64: 0xc000_00b7,
};

/** __X32_SYSCALL_BIT. */
const X32_BIT = 0x4000_0000;
/** What a tracer that skips a call sets for its number: never a foreign one's. */
const NO_CALL = 0xffff_ffff;

// Opcodes of linux/bpf_common.h.
const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JUMP_GREATER_EQUAL = 0x35; // BPF_JMP | BPF_JGE | BPF_K

// Offsets in struct seccomp_data.
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENTS = 16;

/** A place in the program that is not known yet. */
interface Label {
  at: number | undefined;
}

interface Instruction {
  readonly code: number;
  k: number;
  whenTrue?: Label;
  whenFalse?: Label;
}

/** Numbers from `first` up to the next span's are judged alike. */
interface Span {
  readonly first: number;
  readonly rules: readonly Rule[];
  readonly otherwise: number;
}

/** Builds the program: the architecture, then a binary search by number, then each call's comparisons. */
export function assemble(filter: Filter): Uint8Array {
  const code = new Code();
  code.load(ARCHITECTURE);
  const native = label();
  const foreign = label();
  code.branch(JUMP_EQUAL, AUDIT_ARCHITECTURE[filter.architecture], native, foreign);
  code.place(foreign);
  code.give(filter.foreignAction);
  code.place(native);
  if (filter.native) {
    code.load(NUMBER);
    if (filter.x32) {
      code.emit({ code: AND, k: ~X32_BIT >>> 0 });
    }
    search(code, spansOf(filter));
  } else {
    code.give(filter.foreignAction);
  }
  return code.bytes();
}

/** The whole range of numbers, cut where the judgement changes. */
function spansOf(filter: Filter): readonly Span[] {
  const unlisted = (number: number): Span => {
    if (filter.architecture === "x86_64" && !filter.x32 && number >= X32_BIT && number !== NO_CALL) {
      return { first: number, rules: [], otherwise: filter.foreignAction };
    }
    const newer = filter.newerAction !== undefined && number > filter.newest && number < X32_BIT;
    return { first: number, rules: [], otherwise: newer ? filter.newerAction : filter.defaultAction };
  };
  const listed = [...filter.calls].sort((one, other) => one.number - other.number);
  const edges = new Set<number>([0, filter.newest + 1, X32_BIT, NO_CALL]);
  const byNumber = new Map<number, Span>();
  for (const call of listed) {
    byNumber.set(call.number, { first: call.number, rules: call.rules, otherwise: filter.defaultAction });
    edges.add(call.number);
    edges.add(call.number + 1);
  }
  const spans: Span[] = [];
  for (const edge of [...edges].sort((one, other) => one - other)) {
    const span = simplified(byNumber.get(edge) ?? unlisted(edge));
    const last = spans.at(-1);
    if (last === undefined || keyOf(last) !== keyOf(span)) {
      spans.push(span);
    }
  }
  return spans;
}

/** A rule without conditions ends the list and is what happens otherwise. */
function simplified(span: Span): Span {
  const at = span.rules.findIndex((rule) => rule.conditions.length === 0);
  const closing = span.rules[at];
  return closing === undefined
    ? span
    : { first: span.first, rules: span.rules.slice(0, at), otherwise: closing.action };
}

function keyOf(span: Span): string {
  return JSON.stringify([span.rules, span.otherwise], (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}

/** Finds the number's span. Spans with the same comparisons share their code. */
function search(code: Code, spans: readonly Span[]): void {
  const bodies = new Map<string, { readonly label: Label; readonly span: Span }>();
  const narrow = (first: number, end: number): void => {
    const middle = first + ((end - first) >> 1);
    const span = spans[middle];
    if (span === undefined) {
      throw new RangeError("no spans to search");
    }
    if (end - first === 1) {
      if (span.rules.length === 0) {
        code.give(span.otherwise);
        return;
      }
      const key = keyOf(span);
      const body = bodies.get(key) ?? { label: label(), span };
      bodies.set(key, body);
      code.goto(body.label);
      return;
    }
    const above = label();
    const far = label();
    const below = label();
    code.branch(JUMP_GREATER_EQUAL, span.first, far, below);
    code.place(far);
    code.goto(above);
    code.place(below);
    narrow(first, middle);
    code.place(above);
    narrow(middle, end);
  };
  narrow(0, spans.length);
  for (const body of bodies.values()) {
    code.place(body.label);
    for (const rule of body.span.rules) {
      const next = label();
      for (const condition of rule.conditions) {
        compare(code, condition, next);
      }
      code.give(rule.action);
      code.place(next);
    }
    code.give(body.span.otherwise);
  }
}

/** Goes on where the condition holds, else to `fails`. A 64-bit argument is two words, the low one first. */
function compare(code: Code, condition: Condition, fails: Label): void {
  const low = ARGUMENTS + condition.argument * 8;
  const high = low + 4;
  const holds = label();
  const value = words(condition.value);
  switch (condition.comparison) {
    case "SCMP_CMP_EQ":
      equal(code, high, value.high, fails);
      equal(code, low, value.low, fails);
      break;
    case "SCMP_CMP_MASKED_EQ": {
      const expected = words(condition.value & condition.valueTwo);
      equal(code, high, expected.high, fails, value.high);
      equal(code, low, expected.low, fails, value.low);
      break;
    }
    case "SCMP_CMP_NE":
      equal(code, high, value.high, holds);
      code.load(low);
      fork(code, JUMP_EQUAL, value.low, fails, holds);
      break;
    case "SCMP_CMP_GT":
    case "SCMP_CMP_GE":
      code.load(high);
      fork(code, JUMP_GREATER, value.high, holds, undefined);
      fork(code, JUMP_EQUAL, value.high, undefined, fails);
      code.load(low);
      fork(
        code,
        condition.comparison === "SCMP_CMP_GT" ? JUMP_GREATER : JUMP_GREATER_EQUAL,
        value.low,
        undefined,
        fails,
      );
      break;
    case "SCMP_CMP_LT":
    case "SCMP_CMP_LE":
      code.load(high);
      fork(code, JUMP_GREATER, value.high, fails, undefined);
      fork(code, JUMP_EQUAL, value.high, undefined, holds);
      code.load(low);
      fork(
        code,
        condition.comparison === "SCMP_CMP_LT" ? JUMP_GREATER_EQUAL : JUMP_GREATER,
        value.low,
        fails,
        undefined,
      );
      break;
  }
  code.place(holds);
}

/** Goes on where the word, under a mask, is `expected`. */
function equal(code: Code, offset: number, expected: number, fails: Label, mask = 0xffff_ffff): void {
  if (mask === 0) {
    return;
  }
  code.load(offset);
  if (mask !== 0xffff_ffff) {
    code.emit({ code: AND, k: mask });
  }
  fork(code, JUMP_EQUAL, expected, undefined, fails);
}

/** A branch where `undefined` means the next instruction. */
function fork(
  code: Code,
  operation: number,
  k: number,
  whenTrue: Label | undefined,
  whenFalse: Label | undefined,
): void {
  const next = label();
  code.branch(operation, k, whenTrue ?? next, whenFalse ?? next);
  code.place(next);
}

function words(value: bigint): { readonly high: number; readonly low: number } {
  return { high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) };
}

function label(): Label {
  return { at: undefined };
}

/** Instructions with jumps to labels. All jumps go forward, as BPF's do. */
class Code {
  readonly #instructions: Instruction[] = [];

  emit(instruction: Instruction): void {
    this.#instructions.push(instruction);
  }

  load(offset: number): void {
    this.emit({ code: LOAD, k: offset });
  }

  give(action: number): void {
    this.emit({ code: RETURN, k: action });
  }

  goto(target: Label): void {
    this.emit({ code: JUMP, k: 0, whenTrue: target });
  }

  branch(operation: number, k: number, whenTrue: Label, whenFalse: Label): void {
    this.emit({ code: operation, k, whenTrue, whenFalse });
  }

  place(here: Label): void {
    here.at = this.#instructions.length;
  }

  /** struct sock_filter { u16 code; u8 jt, jf; u32 k; }, little-endian. */
  bytes(): Uint8Array {
    const count = this.#instructions.length;
    if (count > MAX_INSTRUCTIONS) {
      throw new RuntimeError(
        "invalid-argument",
        `linux.seccomp needs ${count} BPF instructions; the kernel takes ${MAX_INSTRUCTIONS}`,
      );
    }
    const bytes = new DataView(new ArrayBuffer(count * 8));
    for (const [index, instruction] of this.#instructions.entries()) {
      const at = index * 8;
      bytes.setUint16(at, instruction.code, true);
      if (instruction.code === JUMP) {
        bytes.setUint32(at + 4, distance(index, instruction.whenTrue), true);
        continue;
      }
      if (instruction.whenTrue !== undefined) {
        bytes.setUint8(at + 2, short(distance(index, instruction.whenTrue)));
        bytes.setUint8(at + 3, short(distance(index, instruction.whenFalse)));
      }
      bytes.setUint32(at + 4, instruction.k >>> 0, true);
    }
    return new Uint8Array(bytes.buffer);
  }
}

function distance(from: number, target: Label | undefined): number {
  if (target?.at === undefined || target.at <= from) {
    throw new RangeError("a BPF jump to no place after it");
  }
  return target.at - from - 1;
}

/** A conditional jump's distance. The code above keeps them within one rule, far below the 255 that fit. */
function short(instructions: number): number {
  if (instructions > 255) {
    throw new RangeError("a BPF jump of more than 255 instructions");
  }
  return instructions;
}
