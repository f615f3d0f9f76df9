import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { check } from "../../test/harness/command.js";
import { PrivateContainerd } from "../../test/harness/containerd.js";
import { Ctr, runc, tine } from "../../test/harness/ctr.js";
import { debianImage, type TestImage } from "../../test/harness/image.js";
import { programs, repository } from "../../test/harness/paths.js";
import { forkCostCompiler, forkTimes, startTimes, table } from "./measure.js";
import { demoPrograms } from "./programs.js";

// `npm run demo [-- --runtime NAME]`: real programs through containerd and Tine, then figures beside runc.

const began = performance.now();

function say(text: string): void {
  process.stderr.write(`[demo ${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${text}\n`);
}

function print(text: string): void {
  process.stdout.write(text);
}

/** Something that did not work, said in a way its reader can use. */
class DemoError extends Error {
  override readonly name = "DemoError";
  readonly code = "demo-failed";
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runtime: { type: "string", default: tine } } });
  const { runtime } = values;
  if (process.getuid?.() !== 0)
    throw new DemoError("the demo needs root: containerd does. Try: sudo npm run demo");
  if (runtime === tine) await showMachine();

  say("starting a containerd of our own");
  await using containerd = await PrivateContainerd.start({ keepImages: true });
  const scratch = await mkdtemp(join(containerd.folder, "demo-"));
  containerd.stopOnSignals(say);
  const ctr = new Ctr(containerd, "tine-demo", runtime);
  const image = await debianImage(undefined, say);
  say(`importing ${image.reference} (at once when it is there already)`);
  await ctr.import(image);

  try {
    await runPrograms(ctr, image);
    say("measuring start and fork beside runc; this takes some seconds");
    const runtimes = [runtime, runc];
    const forkCost = join(scratch, "fork-cost");
    await check(forkCostCompiler(repository, forkCost));
    const rows = [
      await startTimes(ctr, image, runtimes),
      ...(await forkTimes(ctr, image, runtimes, forkCost)),
    ];
    print(`\n${table([runtime === tine ? "Tine" : runtime, "runc"], rows)}\n`);
  } catch (error) {
    const end = containerd.log.trimEnd().split("\n").slice(-15).join("\n");
    print(`\nthe end of containerd's log:\n${end}\n\n`);
    throw error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
    say("stopping what was started");
  }
}

/** The lines of `tine doctor`; a machine that cannot run containers ends the demo here, with the remedy. */
async function showMachine(): Promise<void> {
  const { stdout } = await check([join(programs, "tine"), "doctor"]).catch((error: unknown) => {
    throw new DemoError(`this machine cannot run containers with Tine yet\n${String(error)}`);
  });
  print(stdout.replace(/^/gm, "  ").trimEnd() + "\n");
}

async function runPrograms(ctr: Ctr, image: TestImage): Promise<void> {
  for (const { title, command, expected } of demoPrograms) {
    const begin = performance.now();
    const result = await ctr.run(image, command, { limit: 120_000 });
    const seconds = ((performance.now() - begin) / 1000).toFixed(2);
    const right = result.status === 0 && result.stdout === expected;
    print(`\n${right ? "✔" : "✘"} ${title} (${seconds} s)\n${result.stdout.replace(/^(?=.)/gm, "    ")}`);
    if (!right) {
      throw new DemoError(
        `${title}: exit status ${result.status}, wanted output:\n${expected}${result.stderr === "" ? "" : `errors:\n${result.stderr}`}`,
      );
    }
  }
  print("\n");
}

main().then(
  () => say("done: everything worked"),
  (error: unknown) => {
    const told =
      error instanceof Error && error.name !== "Error" && error.name !== "TypeError"
        ? error.message
        : undefined;
    process.stderr.write(
      `\ndemo failed: ${told ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`,
    );
    process.exitCode = 1;
  },
);
