import { addon, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NOFILE, RLIMIT_STACK } from "../../native/addon/addon.js";
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
  /** RLIMIT_AS. */
  readonly addressSpace: Limit;
  /** RLIMIT_DATA. */
  readonly data: Limit;
  /** Whether a hard limit may be raised (CAP_SYS_RESOURCE). */
  readonly mayRaise: boolean;
}

/** The limits of this process. */
export function inheritedLimits(mayRaise: boolean): InheritedLimits {
  return {
    stack: ownLimit(RLIMIT_STACK),
    descriptors: ownLimit(RLIMIT_NOFILE),
    addressSpace: ownLimit(RLIMIT_AS),
    data: ownLimit(RLIMIT_DATA),
    mayRaise,
  };
}

function ownLimit(resource: number): Limit {
  const [soft, hard] = addon.resourceLimit(resource);
  return { soft, hard };
}

/** The limits to write into a process for runc, and the monitor's options that restore the guest's. */
export interface JailLimits {
  readonly rlimits: readonly Fields[];
  readonly monitorOptions: readonly string[];
}

/**
 * Replaces a process's limits on its stack, its descriptors and its memory by what the monitor needs: those on memory
 * would count the monitor's own, and are none to it.
 * A limit that runc could not set is left as it is, so that the error a user
 * meets is runc's own.
 *
 * @param rlimits - `process.rlimits` of a config.json
 */
export function jailLimits(rlimits: unknown, inherited: InheritedLimits): JailLimits {
  const others: Fields[] = [];
  let guestStack = inherited.stack;
  let guestDescriptors: Limit | undefined;
  const memory = { RLIMIT_AS: inherited.addressSpace, RLIMIT_DATA: inherited.data };
  for (const entry of listOf(rlimits)) {
    const fields = fieldsOf(entry);
    const soft = integerOf(fields?.["soft"]);
    const hard = integerOf(fields?.["hard"]);
    if (fields === undefined || soft === undefined || hard === undefined) {
      continue;
    }
    const type = textOf(fields["type"]);
    switch (type) {
      case "RLIMIT_STACK":
        guestStack = { soft, hard };
        break;
      case "RLIMIT_NOFILE":
        guestDescriptors = { soft, hard };
        break;
      case "RLIMIT_AS":
      case "RLIMIT_DATA":
        memory[type] = { soft, hard };
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
  for (const [type, guest, own] of [
    ["RLIMIT_AS", memory.RLIMIT_AS, inherited.addressSpace],
    ["RLIMIT_DATA", memory.RLIMIT_DATA, inherited.data],
  ] as const) {
    const hard = within(UNLIMITED, guest.hard, own.hard, inherited);
    if (own.soft !== hard || own.hard !== hard) result.push(limit(type, { soft: hard, hard }));
    if (guest.soft === UNLIMITED && guest.hard === UNLIMITED) continue;
    monitorOptions.push(`--${type.toLowerCase().replace("_", "-")}=${guest.soft}:${guest.hard}`);
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
