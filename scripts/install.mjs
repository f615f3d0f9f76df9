// Runs after `npm install` of the packed package: notes which Node this is, for a containerd whose PATH does not
// have it, and has its V8 compile the programs ahead. In a checkout that was not built yet there is nothing to do.
import { existsSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { compileAhead } from "./build/compile-ahead.mjs";

const top = resolve(fileURLToPath(import.meta.url), "../..");
const linked = join(top, "build/js/linked");

if (existsSync(linked) && existsSync(join(top, "build/bin"))) {
  writeFileSync(join(top, "build/bin/node-path"), `${realpathSync(process.execPath)}\n`);
  for (const name of readdirSync(linked).filter((file) => file.endsWith(".code"))) {
    const problem = compileAhead(process.execPath, join(linked, name.replace(/\.code$/, "")));
    // It only takes longer to start then.
    if (problem !== undefined) process.stderr.write(`tine: ${name} is not compiled ahead: ${problem}\n`);
  }
}
