import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./lib/paths.mjs";
import { BootstrapError, runToEnd, say } from "./lib/progress.mjs";

const busy = 75;

/**
 * Builds the named parts (none: what running Tine needs; see build/parts.mjs) in a process of its own that
 * holds a lock, so that two builds of one checkout never write the same outputs.
 */
export async function build(names) {
  mkdirSync(join(repository, "build"), { recursive: true });
  const lock = join(repository, "build/.lock");
  const command = [process.execPath, "--no-warnings", "scripts/build/main.mjs", ...names];
  let status = await runToEnd("flock", [
    "--nonblock",
    "--conflict-exit-code",
    String(busy),
    lock,
    ...command,
  ]);
  if (status === busy) {
    say("waiting for another build of this checkout");
    status = await runToEnd("flock", [lock, ...command]);
  }
  if (status !== 0)
    throw new BootstrapError(`the build failed (${names.join(" ") || "all that running needs"})`);
}
