import { chmodSync, copyFileSync, mkdirSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../lib/paths.mjs";

/** Puts into build/bin what starts our JavaScript: the `tine` command, and which Node runs it. */
export function buildLaunchers() {
  const bin = join(repository, "build/bin");
  mkdirSync(bin, { recursive: true });
  replace(join(bin, "node-path"), (path) => writeFileSync(path, `${realpathSync(process.execPath)}\n`));
  replace(join(bin, "tine"), (path) => {
    copyFileSync(join(repository, "runtime/cli/tine.sh"), path);
    chmodSync(path, 0o755);
  });
}

/** A reader of the old file keeps it; nobody sees half of the new one. */
function replace(path, write) {
  write(`${path}.new`);
  renameSync(`${path}.new`, path);
}
