import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./paths.mjs";
import { BootstrapError, runQuietly, say } from "./progress.mjs";

/** Runs `npm ci` when node_modules is missing or is not what package-lock.json says. */
export async function ensureModules() {
  const reason = staleness();
  if (reason === undefined) return;
  say(`npm packages: ${reason}; running npm ci`);
  // npm_execpath is npm's own entry when npm started us: run it under this Node, not under the machine's.
  const npm = process.env.npm_execpath;
  const [program, ...prefix] = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
  const { code, output } = await runQuietly(program, [...prefix, "ci", "--no-audit", "--no-fund"], {
    cwd: repository,
  });
  if (code !== 0) {
    throw new BootstrapError(
      `npm ci failed:\n${output.trimEnd()}`,
      "make the npm registry reachable, then run again",
    );
  }
}

/** Why node_modules does not match the lock file, or undefined when it does. */
function staleness() {
  const installedPath = join(repository, "node_modules/.package-lock.json");
  if (!existsSync(installedPath)) return "not installed";
  const wanted = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedPath, "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/") || entry.optional || entry.peer) continue;
    const found = installed[path];
    if (found === undefined) return `${path} is missing`;
    if (!entry.link && found.version !== entry.version)
      return `${path} is ${found.version}, not ${entry.version}`;
    if (!existsSync(join(repository, path))) return `${path} is missing`;
  }
  return undefined;
}
