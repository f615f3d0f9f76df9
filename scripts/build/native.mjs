import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../lib/paths.mjs";
import { BootstrapError, runToEnd } from "../lib/progress.mjs";
import { nativeParts, ninjaFile } from "./graph.mjs";

/** Brings the named native parts up to date with ninja: two jobs, every failure shown. */
export async function buildNative(names) {
  const folder = join(repository, "build/obj");
  mkdirSync(folder, { recursive: true });
  for (const name of names) {
    if (nativeParts[name].sources().length === 0) throw new BootstrapError(`no sources for ${name}`);
  }
  // Ninja's log says what was built with which command; it is one for all parts, so every part is always in
  // the file and the names only choose what to build.
  const withSources = Object.keys(nativeParts).filter((name) => nativeParts[name].sources().length > 0);
  const file = join(folder, "build.ninja");
  writeFileSync(file, `builddir = build/obj\n${ninjaFile(withSources)}`);
  const status = await runToEnd("ninja", ["-j", "2", "-k", "0", "-f", file, ...names], {
    cwd: repository,
    env: { ...process.env, NINJA_STATUS: "[native %f/%t, %e s] " },
  });
  if (status !== 0) throw new BootstrapError(`native build failed: ${names.join(", ")}`);
}
