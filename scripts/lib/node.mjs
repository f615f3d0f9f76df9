import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { cache } from "./paths.mjs";
import { BootstrapError, runQuietly, runToEnd, say } from "./progress.mjs";

/** The oldest Node that every dependency accepts. */
const oldest = [20, 19];
/** What is fetched where the machine's Node is older. */
const fetched = "node@22";

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
  const home = join(cache, "node-22");
  const node = join(home, "node_modules/node/bin/node");
  if (!existsSync(node)) await install(home);
  const status = await runToEnd(node, process.argv.slice(1), {
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
  });
  process.exit(status);
}

async function install(home) {
  say(`Node ${process.versions.node} is older than ${oldest.join(".")}: fetching ${fetched} into ${home}`);
  const fresh = `${home}.${process.pid}`;
  try {
    mkdirSync(fresh, { recursive: true });
    writeFileSync(join(fresh, "package.json"), '{"private":true}\n');
    const { code, output } = await runQuietly("npm", ["install", "--no-audit", "--no-fund", fetched], { cwd: fresh });
    if (code !== 0 || !existsSync(join(fresh, "node_modules/node/bin/node"))) {
      throw new BootstrapError(
        `npm could not install ${fetched}:\n${output.trimEnd()}`,
        `put Node ${oldest.join(".")} or newer on PATH, or make the npm registry reachable`,
      );
    }
    rmSync(home, { recursive: true, force: true });
    renameSync(fresh, home);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
