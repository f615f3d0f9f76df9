import { integerOf } from "../../oci/lossless.js";
import type { Strategy } from "../fork/strategy.js";
import { tuningOptions, type MonitorTuning } from "../monitor/tuning.js";
import { fieldsOf, listOf, textOf, textsOf, type Fields } from "./fields.js";
import { withRoomForMachines } from "./process-limit.js";
import { jailLimits, type InheritedLimits } from "./limits.js";

/** Descriptors that the monitor inherits through runc, from 3 upwards. */
export const MONITOR_DESCRIPTOR = 3;
const KVM_DESCRIPTOR = 4;
const LOG_DESCRIPTOR = 5;
const SECCOMP_DESCRIPTOR = 6;

/** The table of translators; what it numbers follows. */
export function translatorsDescriptor(seccomp: boolean): number {
  return seccomp ? SECCOMP_DESCRIPTOR + 1 : SECCOMP_DESCRIPTOR;
}

/** Who a guest's program runs as, in the host's numbers. */
export interface Credentials {
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
}

/** What has to be known of a guest's program to look for it before it runs. */
export interface Program {
  readonly name: string;
  readonly workingDirectory: string;
  /** The guest's PATH; undefined when it has none. */
  readonly path: string | undefined;
  readonly credentials: Credentials;
}

/** What the container decides about each of its processes' monitors. */
export interface MonitorOptions {
  readonly limits: InheritedLimits;
  readonly forkStrategy: Strategy;
  readonly tuning: MonitorTuning;
  /** Whether a table of translators is handed in. */
  readonly translators: boolean;
  /** Whether a seccomp program is handed in. */
  readonly seccomp: boolean;
}

/** What only a container's first process is told. */
export interface FirstOptions {
  /** The monitor's descriptor of the pipe at which it waits for the start; undefined for no waiting. */
  readonly startDescriptor?: number | undefined;
}

/** A container's config.json, taken apart and put together for the jail. */
export interface Jail {
  /** For runc. */
  readonly specification: Fields;
  /** Undefined when the file names no program: runc then says so better. */
  readonly program: Program | undefined;
  /** `linux.seccomp`, which the monitor applies to guest calls. */
  readonly seccompProfile: Fields | undefined;
  /** Whether the end of the first process ends all others. */
  readonly ownPidNamespace: boolean;
  readonly systemdCgroup: boolean;
  /** Whether hooks run after the end, which may look at the root. */
  readonly hasPoststopHooks: boolean;
  readonly userNamespace: IdMappings;
}

/** How identifiers in the container map to the host's; empty without a user namespace. */
export interface IdMappings {
  readonly users: readonly IdMapping[];
  readonly groups: readonly IdMapping[];
}

interface IdMapping {
  readonly container: number;
  readonly host: number;
  readonly size: number;
}

/**
 * Turns a container's specification into the jail's: the monitor becomes the
 * process, and everything runc does stays runc's to do. Fields this does not
 * name go through untouched.
 *
 * @param original - config.json, parsed without loss; not changed
 */
export function jailSpecification(
  original: Fields,
  options: Omit<MonitorOptions, "seccomp"> & FirstOptions,
): Jail {
  const linux = fieldsOf(original["linux"]);
  const seccompProfile = fieldsOf(linux?.["seccomp"]);
  const userNamespace = {
    users: idMappings(linux?.["uidMappings"]),
    groups: idMappings(linux?.["gidMappings"]),
  };
  const process = fieldsOf(original["process"]);
  const jailed =
    process === undefined
      ? undefined
      : jailProcess(process, { ...options, seccomp: seccompProfile !== undefined }, userNamespace);

  const specification: Fields = { ...original };
  if (jailed !== undefined) {
    specification["process"] = jailed.process;
  }
  if (linux !== undefined) {
    // The monitor evaluates it, on guest calls.
    const { ...rest } = linux;
    delete rest["seccomp"];
    const resources = fieldsOf(rest["resources"]);
    if (resources !== undefined) {
      rest["resources"] = withRoomForMachines(resources);
    }
    specification["linux"] = rest;
  }
  return {
    specification,
    program: jailed?.program,
    seccompProfile,
    ownPidNamespace: listOf(linux?.["namespaces"]).some((entry) => isNewNamespace(entry, "pid")),
    systemdCgroup: isSystemdPath(textOf(linux?.["cgroupsPath"])),
    hasPoststopHooks: listOf(fieldsOf(original["hooks"])?.["poststop"]).length > 0,
    userNamespace,
  };
}

/** The same for one process: a container's first, or an exec's. */
export function jailProcess(
  original: Fields,
  options: MonitorOptions & FirstOptions,
  userNamespace: IdMappings,
): { process: Fields; program: Program | undefined } {
  const args = textsOf(original["args"]);
  const name = args[0];
  if (name === undefined) {
    return { process: original, program: undefined };
  }
  const limits = jailLimits(original["rlimits"], options.limits);
  const monitor = [
    `/proc/self/fd/${MONITOR_DESCRIPTOR}`,
    "--jailed",
    `--kvm-fd=${KVM_DESCRIPTOR}`,
    `--log-fd=${LOG_DESCRIPTOR}`,
    ...limits.monitorOptions,
    ...tuningOptions(options.tuning),
  ];
  if (options.seccomp) {
    monitor.push(`--seccomp-fd=${SECCOMP_DESCRIPTOR}`);
  }
  if (options.translators) {
    monitor.push(`--translators-fd=${translatorsDescriptor(options.seccomp)}`);
  }
  if (options.startDescriptor !== undefined) {
    monitor.push(`--start-fd=${options.startDescriptor}`);
  }
  if (options.forkStrategy !== "auto") {
    monitor.push(`--fork=${options.forkStrategy}`);
  }
  return {
    process: {
      ...original,
      args: [...monitor, "--", ...args],
      rlimits: limits.rlimits,
      // A set-uid program would leave the guest's monitor with the host
      // kernel's idea of its identity and no say of its own.
      noNewPrivileges: true,
    },
    program: {
      name,
      workingDirectory: textOf(original["cwd"]) ?? "/",
      path: variable(textsOf(original["env"]), "PATH"),
      credentials: credentials(fieldsOf(original["user"]), userNamespace),
    },
  };
}

/** The last setting of a variable, as a process started with it would see. */
function variable(environment: readonly string[], name: string): string | undefined {
  return environment.findLast((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

function credentials(user: Fields | undefined, mappings: IdMappings): Credentials {
  return {
    user: toHost(numberOf(user?.["uid"]), mappings.users),
    group: toHost(numberOf(user?.["gid"]), mappings.groups),
    groups: listOf(user?.["additionalGids"]).map((id) => toHost(numberOf(id), mappings.groups)),
  };
}

function toHost(id: number, mappings: readonly IdMapping[]): number {
  // Root of a user namespace may read what its namespace owns, and an ordinary
  // user with its number may not: judged as root here, for good by the kernel.
  if (id === 0) {
    return 0;
  }
  const mapping = mappings.find(({ container, size }) => id >= container && id < container + size);
  return mapping === undefined ? id : mapping.host + (id - mapping.container);
}

function idMappings(value: unknown): readonly IdMapping[] {
  return listOf(value).flatMap((entry) => {
    const fields = fieldsOf(entry);
    return fields === undefined
      ? []
      : [
          {
            container: numberOf(fields["containerID"]),
            host: numberOf(fields["hostID"]),
            size: numberOf(fields["size"]),
          },
        ];
  });
}

function numberOf(value: unknown): number {
  return Number(integerOf(value) ?? 0n);
}

function isNewNamespace(entry: unknown, type: string): boolean {
  const fields = fieldsOf(entry);
  return fields?.["type"] === type && (textOf(fields["path"]) ?? "") === "";
}

/** `slice:prefix:name` instead of a path means that systemd manages the group. */
function isSystemdPath(path: string | undefined): boolean {
  return path !== undefined && path.split(":").length === 3;
}
