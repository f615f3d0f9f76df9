import { addon, RLIMIT_NOFILE, RLIMIT_STACK } from "../../native/addon/addon.js";
import { integerOf } from "../../oci/lossless.js";
import { fieldsOf, listOf, textOf, type Fields } from "./fields.js";

/**
 * The stack limit the monitor is started with, bytes. Where the kernel puts a
 * program depends on it, and the monitor has to land outside its guest's
 * windows.
 */
const MONITOR_STACK = 8n * 1024n * 1024n;

/** Descriptors the monitor may need beyond those its guest may have: a few, and one for each guest thread. */
const MONITOR_DESCRIPTORS = 4096n;

/** RLIM_INFINITY. */
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** A soft and a hard limit, as setrlimit takes them. */
export interface Limit {
  readonly soft: bigint;
  readonly hard: bigint;
}

/** What this process would pass on to a child. */
export interface InheritedLimits {
  readonly stack: Limit;
  readonly descriptors: Limit;
  /** Whether a hard limit may be raised (CAP_SYS_RESOURCE). */
  readonly mayRaise: boolean;
}

/** The limits of this process. */
export function inheritedLimits(mayRaise: boolean): InheritedLimits {
  const [stackSoft, stackHard] = addon.resourceLimit(RLIMIT_STACK);
  const [descriptorsSoft, descriptorsHard] = addon.resourceLimit(RLIMIT_NOFILE);
  return {
    stack: { soft: stackSoft, hard: stackHard },
    descriptors: { soft: descriptorsSoft, hard: descriptorsHard },
    mayRaise,
  };
}

/** The limits to write into a process for runc, and the monitor's options that restore the guest's. */
export interface JailLimits {
  readonly rlimits: readonly Fields[];
  readonly monitorOptions: readonly string[];
}

/**
 * Replaces a process's stack and descriptor limits by what the monitor needs.
 * A limit that runc could not set is left as it is, so that the error a user
 * meets is runc's own.
 *
 * @param rlimits - `process.rlimits` of a config.json
 */
export function jailLimits(rlimits: unknown, inherited: InheritedLimits): JailLimits {
  const others: Fields[] = [];
  let guestStack = inherited.stack;
  let guestDescriptors: Limit | undefined;
  for (const entry of listOf(rlimits)) {
    const fields = fieldsOf(entry);
    const soft = integerOf(fields?.["soft"]);
    const hard = integerOf(fields?.["hard"]);
    if (fields === undefined || soft === undefined || hard === undefined) {
      continue;
    }
    switch (textOf(fields["type"])) {
      case "RLIMIT_STACK":
        guestStack = { soft, hard };
        break;
      case "RLIMIT_NOFILE":
        guestDescriptors = { soft, hard };
        break;
      default:
        others.push(fields);
    }
  }

  const stackHard = within(
    larger(guestStack.hard, MONITOR_STACK),
    guestStack.hard,
    inherited.stack.hard,
    inherited,
  );
  const stackSoft = MONITOR_STACK < stackHard ? MONITOR_STACK : stackHard;
  const result = [...others, limit("RLIMIT_STACK", { soft: stackSoft, hard: stackHard })];
  const monitorOptions = [`--rlimit-stack=${guestStack.soft}:${guestStack.hard}`];
  if (guestDescriptors !== undefined) {
    const wanted = plus(guestDescriptors.hard, MONITOR_DESCRIPTORS);
    const hard = within(wanted, guestDescriptors.hard, inherited.descriptors.hard, inherited);
    result.push(limit("RLIMIT_NOFILE", { soft: hard, hard }));
    monitorOptions.push(`--rlimit-nofile=${guestDescriptors.soft}:${guestDescriptors.hard}`);
  }
  return { rlimits: result, monitorOptions };
}

/** The wanted hard limit, or as much of it as may be set; never below what was asked for. */
function within(wanted: bigint, asked: bigint, own: bigint, inherited: InheritedLimits): bigint {
  if (inherited.mayRaise || wanted <= own) {
    return wanted;
  }
  return larger(own, asked);
}

function limit(type: string, { soft, hard }: Limit): Fields {
  return { type, soft, hard };
}

function larger(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}

function plus(value: bigint, more: bigint): bigint {
  return value >= UNLIMITED - more ? UNLIMITED : value + more;
}
