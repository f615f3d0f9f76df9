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

/**
 * Whether a monitor has made its machine: it names itself after its program then, and has the name of the file that
 * it was executed from before, which is a descriptor's number.
 *
 * @param stat - content of its /proc/PID/stat; undefined when it is gone
 */
export function hasMachine(stat: string | undefined): boolean {
  if (stat === undefined) return true;
  const end = stat.lastIndexOf(")");
  const name = stat.slice(stat.indexOf("(") + 1, end);
  const ended = "ZXx".includes(stat.charAt(end + 2));
  return ended || !/^(\d+|runc(:.*)?|crun|memfd:.*)$/.test(name);
}

/** Whether the error says that limits here are not ours to change, or that the group is gone. */
export function isOutOfReach(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS", "ENOENT", "ENODEV"].includes(systemCodeOf(error) ?? "");
}

async function tasksIn(directory: string): Promise<bigint> {
  return numberIn(await readGroupFile(directory, "pids.current"));
}
