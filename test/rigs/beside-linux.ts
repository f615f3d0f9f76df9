import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { repository } from "../harness/paths.js";
import { buildStatic, runOnRig, type RigMachine, type RigResult } from "./rig.js";

/** One program's two runs on a rig. */
export interface TwoRuns {
  name: string;
  /** By the rig's own Linux. */
  linux: RigResult;
  /** In a microVM on the rig. */
  guest: RigResult;
}

/**
 * Runs programs on a rig, each by the rig's Linux and then under the monitor.
 *
 * @param monitor the monitor for the rig's architecture, relative to the checkout.
 * @param sources C programs, relative to the test folder and without suffix; they must build static for the rig.
 * @param limit milliseconds for all runs.
 */
export async function runBesideLinux(
  machine: RigMachine,
  monitor: string,
  sources: readonly string[],
  limit: number,
): Promise<{ probe: Record<string, unknown>; programs: TwoRuns[] }> {
  const folder = join(repository, "build/rigs", machine.architecture);
  await mkdir(folder, { recursive: true });
  const names = sources.map((source) => basename(source));
  const files = [join(repository, monitor)];
  for (const [index, source] of sources.entries()) {
    const output = join(folder, names[index] ?? "");
    await buildStatic(machine, join(repository, `test/${source}.c`), output);
    files.push(output);
  }
  const commands = names.flatMap((name) => [`/bin/${name}`, `/bin/tine-vmm -- /bin/${name}`]);
  const [probe, ...runs] = await runOnRig(machine, files, ["/bin/tine-vmm --probe", ...commands], limit);
  const programs = names.map((name, index) => {
    const linux = runs[2 * index];
    const guest = runs[2 * index + 1];
    if (linux === undefined || guest === undefined) throw new Error(`${name} did not run twice`);
    return { name, linux, guest };
  });
  return { probe: JSON.parse(probe?.output ?? "") as Record<string, unknown>, programs };
}
