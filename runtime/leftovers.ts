import { rmdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runcRoot } from "./create-container.js";
import { messageOf, systemCodeOf } from "./errors.js";
import { unmountRoot } from "./jail/rootfs.js";
import { readJailRecord } from "./jail/record.js";
import { Runc } from "./jail/runc.js";
import type { RuntimeSettings } from "./settings.js";

/**
 * Does away with a container that nobody looks after any more: its processes,
 * runc's state of it, its root's mounts. Nothing left is the usual case.
 *
 * @param settings - used where the bundle does not say with which it was made
 * @returns the pid its first process had, 0 when that is not known
 */
export async function removeLeftovers(
  id: string,
  bundle: string,
  settings: RuntimeSettings,
): Promise<number> {
  const record = readJailRecord(bundle);
  const binary = record?.runcBinary ?? settings.runcBinary;
  const root = record?.runcRoot ?? runcRoot(settings);
  try {
    // How the control group is managed is in runc's own state of it.
    const runc = new Runc(binary, root, false);
    await runc.delete(id, true);
  } catch (error) {
    settings.log(messageOf(error));
  }
  try {
    await unmountRoot(join(bundle, "rootfs"));
  } catch (error) {
    settings.log(messageOf(error));
  }
  const pid = Number(await readFile(join(bundle, "init.pid"), "utf8").catch(() => "0"));
  return Number.isInteger(pid) ? pid : 0;
}

/** Removes the folders of a runtime whose daemon is gone, once no container has anything in them. */
export function removeEmptyState(bundle: string, settings: RuntimeSettings): void {
  const root = readJailRecord(bundle)?.runcRoot ?? runcRoot(settings);
  try {
    rmdirSync(root);
    rmdirSync(dirname(root));
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY"].includes(systemCodeOf(error) ?? "")) settings.log(messageOf(error));
  }
}
