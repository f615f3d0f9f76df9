import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { repository } from "../lib/paths.mjs";
import { BootstrapError, runToEnd, say } from "../lib/progress.mjs";
import { linkPrograms } from "./link.mjs";

const output = join(repository, "build/js");
const stamp = join(repository, "build/typescript.stamp");

/**
 * Compiles the TypeScript into build/js, unless no source changed since the last time, and removes what
 * remains there of sources that are gone (a deleted test must not go on running).
 */
export async function buildTypeScript() {
  const sources = sourceFiles();
  const hash = hashOf([...sources, "tsconfig.json", "package-lock.json", "scripts/build/link.mjs"]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  say("compiling TypeScript");
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  const status = await runToEnd(process.execPath, [compiler, "-p", "."], { cwd: repository });
  if (status !== 0) throw new BootstrapError("the TypeScript does not compile");
  removeOrphans(new Set(sources.map((path) => path.replace(/\.ts$/, ""))));
  say("linking the programs");
  await linkPrograms();
  writeFileSync(stamp, hash);
}

function sourceFiles() {
  const { include } = JSON.parse(readFileSync(join(repository, "tsconfig.json"), "utf8"));
  return include.flatMap((folder) => list(join(repository, folder), ".ts")).sort();
}

function list(folder, suffix) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => relative(repository, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => !path.includes("node_modules/"));
}

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(repository, path)))
      .update("\0");
  return hash.digest("hex");
}

function removeOrphans(known) {
  for (const path of list(output, ".js")) {
    const source = relative("build/js", path).replace(/\.js$/, "");
    if (known.has(source)) continue;
    rmSync(join(repository, path));
    rmSync(join(repository, `${path}.map`), { force: true });
  }
}
