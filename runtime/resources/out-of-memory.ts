import { closeSync, openSync, readFileSync, readSync, watch, writeFileSync } from "node:fs";
import { addon } from "../../native/addon/addon.js";
import { watchReadable } from "../../native/addon/watch.js";
import { systemCodeOf } from "../errors.js";
import { keyedNumbers } from "./files.js";

/**
 * Calls back each time the kernel killed a process of a group for want of
 * memory. The kernel notifies: nothing is polled. A group without a memory
 * controller, or one that is gone, stays silent.
 *
 * @param directory - the group's, of the memory controller
 * @returns stops it
 */
export function watchOutOfMemory(
  mode: "v1" | "v2",
  directory: string | undefined,
  onKill: () => void,
): Disposable {
  if (directory === undefined) {
    return { [Symbol.dispose]: () => undefined };
  }
  try {
    return mode === "v1" ? watchV1(directory, onKill) : watchV2(directory, onKill);
  } catch (error) {
    switch (systemCodeOf(error)) {
      case "ENOENT":
      case "ENODEV":
      case "EOPNOTSUPP":
        return { [Symbol.dispose]: () => undefined };
      default:
        throw error;
    }
  }
}

/** memory.oom_control tells through an eventfd registered in cgroup.event_control. */
function watchV1(directory: string, onKill: () => void): Disposable {
  const counter = addon.eventfd();
  let control: number | undefined;
  try {
    control = openSync(`${directory}/memory.oom_control`, "r");
    writeFileSync(`${directory}/cgroup.event_control`, `${counter} ${control}`);
  } catch (error) {
    closeSync(counter);
    throw error;
  } finally {
    // The registration holds what it needs.
    if (control !== undefined) {
      closeSync(control);
    }
  }
  const count = Buffer.alloc(8);
  const watching = watchReadable(counter, () => {
    readSync(counter, count, 0, count.length, null);
    // Removing the group rings too.
    if (exists(`${directory}/memory.oom_control`)) {
      onKill();
    }
    watching.again();
  });
  return {
    [Symbol.dispose]: () => {
      watching.close();
      closeSync(counter);
    },
  };
}

/** memory.events raises a modification event, for inotify, whenever a count in it changes. */
function watchV2(directory: string, onKill: () => void): Disposable {
  const path = `${directory}/memory.events`;
  let seen = kills(path);
  const watcher = watch(path, { persistent: false }, () => {
    const now = kills(path);
    if (now > seen) {
      onKill();
    }
    seen = now;
  });
  watcher.on("error", () => watcher.close());
  return { [Symbol.dispose]: () => watcher.close() };
}

function kills(path: string): bigint {
  try {
    return keyedNumbers(readFileSync(path, "utf8")).get("oom_kill") ?? 0n;
  } catch (error) {
    if (systemCodeOf(error) !== undefined) {
      return 0n;
    }
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
