import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addon } from "../../native/addon/addon.js";
import { integerOf, parseLossless, stringifyLossless } from "../../oci/lossless.js";
import { messageOf, RuntimeError } from "../errors.js";
import { chooseStrategy, forkAnnotation } from "../fork/strategy.js";
import type { MonitorLog } from "../monitor/log.js";
import { tuningWithin } from "../monitor/tuning.js";
import type { JailPrograms } from "../monitor/programs.js";
import type { InheritedTranslators } from "../monitor/translators.js";
import type { RuntimeSettings } from "../settings.js";
import { fieldsOf, textOf, type Fields } from "./fields.js";
import { inheritedLimits } from "./limits.js";
import { compileSeccompProfile } from "./seccomp.js";
import { gateSuffices, StartGate } from "./start-gate.js";
import {
  jailProcess,
  jailSpecification,
  translatorsDescriptor,
  type Jail,
  type MonitorOptions,
  type Program,
} from "./specification.js";

/** Whether this process may raise hard limits; asked once, it does not change. */
let mayRaise: boolean | undefined;

/** CAP_SYS_RESOURCE of <linux/capability.h>. */
const CAP_SYS_RESOURCE = 24n;

/** A further process, made ready for the jail. */
export interface PreparedProcess {
  /** JSON for `runc exec --process`, in a sealed memory file; the caller closes it. */
  readonly document: number;
  readonly program: Program | undefined;
}

/**
 * A container's bundle, made ready for runc, and what each of its processes'
 * monitors inherits.
 */
export class PreparedJail {
  readonly #jail: Jail;
  readonly #options: MonitorOptions;
  readonly #programs: JailPrograms;
  readonly #monitorPath: string;
  readonly #log: MonitorLog;
  readonly #seccomp: number | undefined;
  readonly #translators: InheritedTranslators | undefined;
  /** Of the first process; undefined when runc starts it. */
  readonly gate: StartGate | undefined;

  private constructor(
    jail: Jail,
    options: MonitorOptions,
    programs: JailPrograms,
    monitorPath: string,
    log: MonitorLog,
    seccomp: number | undefined,
    translators: InheritedTranslators | undefined,
    gate: StartGate | undefined,
  ) {
    this.#jail = jail;
    this.#options = options;
    this.#programs = programs;
    this.#monitorPath = monitorPath;
    this.#log = log;
    this.#seccomp = seccomp;
    this.#translators = translators;
    this.gate = gate;
  }

  /**
   * Rewrites the bundle's config.json: hooks are told this bundle, and look
   * for the file there.
   *
   * @throws RuntimeError `invalid-argument` when config.json is not one, its seccomp profile is wrong, or its
   *   annotation names no strategy
   */
  static prepare(
    bundle: string,
    programs: JailPrograms,
    log: MonitorLog,
    settings: RuntimeSettings,
  ): PreparedJail {
    const path = join(bundle, "config.json");
    mayRaise ??= mayRaiseLimits();
    const limits = inheritedLimits(mayRaise);
    const original = parseObject(readFileSync(path), path);
    const annotation = textOf(fieldsOf(original["annotations"])?.[forkAnnotation]);
    const forkStrategy = chooseStrategy(annotation, settings.forkStrategy);
    const hasSeccomp = fieldsOf(fieldsOf(original["linux"])?.["seccomp"]) !== undefined;
    const translators = programs.translators.open(settings.translators, translatorsDescriptor(hasSeccomp));
    const gate = gateSuffices(original) ? new StartGate() : undefined;
    try {
      const resources = fieldsOf(fieldsOf(original["linux"])?.["resources"]);
      const cpu = fieldsOf(resources?.["cpu"]);
      const tuning = tuningWithin(settings.tuning, {
        quota: integerOf(cpu?.["quota"]),
        period: integerOf(cpu?.["period"]),
        memory: integerOf(fieldsOf(resources?.["memory"])?.["limit"]),
      });
      const common = { limits, forkStrategy, tuning, translators: translators !== undefined };
      const startDescriptor =
        gate === undefined
          ? undefined
          : translatorsDescriptor(hasSeccomp) + (translators?.descriptors.length ?? 0);
      const jail = jailSpecification(original, { ...common, startDescriptor });
      const program =
        jail.seccompProfile === undefined ? undefined : compileSeccompProfile(jail.seccompProfile).program;
      // A new file: ext4 flushes one that is written over or renamed over to the disk.
      rmSync(path);
      writeFileSync(path, stringifyLossless(jail.specification), { mode: 0o600, flag: "wx" });
      const seccomp = program === undefined ? undefined : addon.sealedMemory("seccomp", program);
      const options = { ...common, seccomp: seccomp !== undefined };
      return new PreparedJail(
        jail,
        options,
        programs,
        settings.monitorBinary,
        log,
        seccomp,
        translators,
        gate,
      );
    } catch (error) {
      gate?.close();
      closeAll(translators?.descriptors ?? []);
      throw error;
    }
  }

  /** The container's first program. */
  get program(): Program | undefined {
    return this.#jail.program;
  }

  get systemdCgroup(): boolean {
    return this.#jail.systemdCgroup;
  }

  /** Whether hooks run after the end, which may look at the root. */
  get hasPoststopHooks(): boolean {
    return this.#jail.hasPoststopHooks;
  }

  /** Whether the end of the first process ends all others. */
  get ownPidNamespace(): boolean {
    return this.#jail.ownPidNamespace;
  }

  /**
   * Makes a further process ready.
   *
   * @param document - JSON of an OCI runtime-spec Process
   * @param terminal - whether it gets one, whatever the document says
   * @throws RuntimeError `invalid-argument` when it is not one
   */
  prepareProcess(document: Uint8Array, terminal: boolean): PreparedProcess {
    const original = { ...parseObject(document, "the process"), terminal };
    const { process, program } = jailProcess(original, this.#options, this.#jail.userNamespace);
    const bytes = Buffer.from(stringifyLossless(process));
    return { document: addon.sealedMemory("process", bytes), program };
  }

  /**
   * Runs `use` with the descriptors that one process's monitor inherits, from
   * 3 upwards, and closes ours afterwards.
   *
   * @param gate - the first process's, where it has one
   */
  async withInherited<Result>(
    gate: StartGate | undefined,
    use: (descriptors: readonly number[]) => Promise<Result>,
  ): Promise<Result> {
    const own: number[] = [];
    try {
      own.push(this.#programs.monitor.open(this.#monitorPath));
      own.push(openKvm());
      const shared = this.#seccomp === undefined ? [] : [this.#seccomp];
      const translators = this.#translators?.descriptors ?? [];
      const waiting = gate === undefined ? [] : [gate.descriptor];
      return await use([...own, this.#log.descriptor, ...shared, ...translators, ...waiting]);
    } finally {
      closeAll(own);
    }
  }

  /** Closes what it holds. */
  close(): void {
    this.gate?.close();
    closeAll(this.#seccomp === undefined ? [] : [this.#seccomp]);
    closeAll(this.#translators?.descriptors ?? []);
  }
}

function closeAll(descriptors: readonly number[]): void {
  descriptors.forEach((descriptor) => closeSync(descriptor));
}

function openKvm(): number {
  try {
    return openSync("/dev/kvm", "r+");
  } catch (error) {
    throw new RuntimeError("failed", `no virtual machine can be made here: ${messageOf(error)}`);
  }
}

function parseObject(bytes: Uint8Array, what: string): Fields {
  let fields: Fields | undefined;
  try {
    fields = fieldsOf(parseLossless(bytes));
  } catch (error) {
    throw new RuntimeError("invalid-argument", `${what}: ${messageOf(error)}`, { cause: error });
  }
  if (fields === undefined) {
    throw new RuntimeError("invalid-argument", `${what} is not a JSON object`);
  }
  return fields;
}

function mayRaiseLimits(): boolean {
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> CAP_SYS_RESOURCE) & 1n) === 1n;
}
