import { readFileSync, readlinkSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { systemCodeOf } from "../errors.js";
import { numberIn, readGroupFile } from "./files.js";

/** What a machine's first run needs for an instant, its helper and the kernel's worker, and one that a fork may take before. */
const NEEDED = 3n;

/** With that many free nobody looks on: forks that fail have taken less when they give it back. */
const PLENTY = 8n;

/** What a limit is raised by at most, however fast others fork. */
const MOST = 32n;

const PAUSE_MS = 5;
const LONGEST_MS = 5000;

/**
 * Sees to it that a process which has just entered a control group can make its machine, though the group is at
 * its limit of processes: the limit is higher until it has. Whoever enters a group passes over its limit on Linux
 * too, and needs no more task to begin; this one does for a tenth of a millisecond.
 *
 * @param directory - of the group that counts processes
 * @param hasBegun - whether its machine is made, or is not needed any more
 */
export async function giveRoomToBegin(directory: string, hasBegun: () => boolean): Promise<void> {
  const file = `${directory}/pids.max`;
  const original = (await readGroupFile(directory, "pids.max"))?.trim() ?? "max";
  if (original === "max") return;
  const limit = numberIn(original);
  if ((await tasksIn(directory)) + PLENTY <= limit) return;
  let raised = limit;
  try {
    for (let waited = 0; waited < LONGEST_MS && !hasBegun(); waited += PAUSE_MS) {
      const wanted = (await tasksIn(directory)) + NEEDED;
      if (wanted > raised && wanted <= limit + MOST) {
        await writeFile(file, String(wanted));
        raised = wanted;
      }
      await sleep(PAUSE_MS);
    }
  } finally {
    // A client may have set another limit meanwhile.
    if (raised !== limit && numberIn(await readFile(file, "utf8")) === raised)
      await writeFile(file, original);
  }
}

/** What /proc tells of a process. */
export interface ProcessLook {
  /** Content of its `stat`. */
  readonly stat: string;
  /** What its `exe` points to. */
  readonly program: string;
  /** Content of its `cmdline`. */
  readonly commandLine: string;
}

/** The monitor's own command line, up to its first option (jail/specification.ts). */
const monitorCommand = /^\/proc\/self\/fd\/\d+\0--jailed\0/;

/**
 * Whether a monitor has made its machine. Before that it is runc, or has the command line that runc gave it, and
 * after that its program's.
 *
 * @param look - undefined when the process is gone
 */
export function hasMachine(look: ProcessLook | undefined): boolean {
  if (look === undefined) return true;
  const { stat, program, commandLine } = look;
  if ("ZXx".includes(stat.charAt(stat.lastIndexOf(")") + 2))) return true;
  return program.startsWith("/memfd:tine-vmm") && !monitorCommand.test(commandLine);
}

/** Looks at a process; undefined when it is gone. */
export function lookAt(pid: number): ProcessLook | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // One that has ended has no program any more.
    const program = readlinkSync(`/proc/${pid}/exe`);
    return { stat, program, commandLine: readFileSync(`/proc/${pid}/cmdline`, "utf8") };
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Whether the error says that limits here are not ours to change, or that the group is gone. */
export function isOutOfReach(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS", "ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "");
}

async function tasksIn(directory: string): Promise<bigint> {
  return numberIn(await readGroupFile(directory, "pids.current"));
}
