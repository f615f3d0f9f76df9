import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { compileAhead } from "../build/compile-ahead.mjs";
import { BootstrapError } from "../lib/progress.mjs";
import { repository } from "../lib/paths.mjs";

/** What runs: as it lies in a checkout, so that each program finds the others where it looks for them. */
const parts = [
  "package.json",
  "build/bin/containerd-shim-tine-v2",
  "build/bin/tine",
  "build/bin/tine-vmm",
  "build/js/linked",
  "build/js/shim/launcher/early-failure.cjs",
  "build/native/tine.node",
];

/** Without what only a debugger reads. */
const stripped = ["build/bin/containerd-shim-tine-v2", "build/bin/tine-vmm", "build/native/tine.node"];

/** Programs that people and containerd look for. */
const commands = ["tine", "tine-vmm", "containerd-shim-tine-v2"];

const home = "usr/lib/tine";

/**
 * Puts all that a system gets into a folder, as it will lie below `/`.
 *
 * @param node the Node to carry along
 */
export function writeTree(folder, node) {
  for (const part of parts) {
    mkdirSync(dirname(join(folder, home, part)), { recursive: true });
    cpSync(join(repository, part), join(folder, home, part), { recursive: true });
  }
  for (const part of stripped) run("strip", "--strip-unneeded", join(folder, home, part));
  mkdirSync(join(folder, home, "node"));
  cpSync(node, join(folder, home, "node/node"), { dereference: true });
  chmodSync(join(folder, home, "node/node"), 0o755);
  writeFileSync(join(folder, home, "build/bin/node-path"), `/${home}/node/node\n`);
  const linked = join(folder, home, "build/js/linked");
  for (const file of readdirSync(linked).filter((name) => name.endsWith(".code"))) {
    const problem = compileAhead(node, join(linked, file.replace(/\.code$/, "")));
    if (problem !== undefined) throw new BootstrapError(`${node} does not compile ${file}: ${problem}`);
  }
  mkdirSync(join(folder, "usr/bin"));
  for (const name of commands)
    run("ln", "-s", `../lib/tine/build/bin/${name}`, join(folder, "usr/bin", name));
  writeManuals(folder);
  const completion = join(folder, "usr/share/bash-completion/completions");
  mkdirSync(completion, { recursive: true });
  writeFileSync(join(completion, "tine"), run(join(repository, "build/bin/tine"), "completion", "bash"));
}

/** The manual pages where man looks; the other pages beside the copyright. */
function writeManuals(folder) {
  const manuals = join(repository, "docs/man");
  for (const name of readdirSync(manuals)) {
    write(join(folder, `usr/share/man/man${name.slice(-1)}/${name}.gz`), compressed(join(manuals, name)));
  }
  for (const name of readdirSync(join(repository, "docs")).filter((file) => file.endsWith(".md"))) {
    write(join(folder, `usr/share/doc/tine/${name}.gz`), compressed(join(repository, "docs", name)));
  }
}

function compressed(path) {
  return gzipSync(run("cat", path), { level: 9 });
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Runs a program to its end; its value is what it prints. */
export function run(program, ...args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { maxBuffer: 1 << 28 });
  if (status !== 0)
    throw new BootstrapError(`${program} ${args.join(" ")}: ${error?.message ?? stderr.toString().trim()}`);
  return stdout;
}
