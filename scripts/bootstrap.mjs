// What every `npm run` command starts with. It runs on a machine that has only git, Node (18 is enough to
// get here) and npm: plain JavaScript, no dependency. It brings the machine to where the task can run, says
// what it does while it does it, and then starts the task with the right Node.
import { ensureModules } from "./lib/modules.mjs";
import { ensureNode } from "./lib/node.mjs";
import { ensurePackages } from "./lib/packages.mjs";
import { BootstrapError, fail, runToEnd } from "./lib/progress.mjs";
import { repository } from "./lib/paths.mjs";
import { build } from "./build.mjs";

/** Which Debian tools a task needs, whether it needs the build first, and what it then runs. */
const tasks = {
  build: { tools: ["build"], run: (args) => build(args) },
  demo: { tools: ["build", "containers", "images"], build: [], script: "build/js/scripts/demo/main.js" },
  test: {
    tools: ["build", "containers", "images", "tests", "clients"],
    build: ["all"],
    script: "scripts/tasks/test.mjs",
  },
  "test:differential": {
    tools: ["build", "containers", "images"],
    build: [],
    script: "build/js/test/differential/main.js",
  },
  "test:matrix": {
    tools: ["build", "containers", "images", "clients"],
    build: [],
    script: "build/js/test/matrix/main.js",
  },
  bench: { tools: ["build", "containers", "images"], build: [], script: "build/js/bench/main.js" },
  package: { tools: ["build", "packages"], build: [], script: "scripts/tasks/package.mjs" },
  lint: { tools: [], script: "scripts/tasks/lint.mjs" },
  format: { tools: [], script: "scripts/tasks/format.mjs" },
  docs: { tools: [], build: ["js"], script: "scripts/tasks/docs.mjs" },
  proto: { tools: [], script: "scripts/tasks/proto.mjs" },
};

async function main() {
  const [name, ...args] = process.argv.slice(2);
  const task = Object.hasOwn(tasks, name ?? "") ? tasks[name] : undefined;
  if (task === undefined) {
    throw new BootstrapError(
      `unknown task ${JSON.stringify(name ?? "")}`,
      `one of: ${Object.keys(tasks).join(", ")}`,
    );
  }
  process.chdir(repository);
  await ensureNode(); // does not return when another Node has to take over
  await ensurePackages(task.tools);
  await ensureModules();
  if (task.run !== undefined) return task.run(args);
  if (task.build !== undefined) await build(task.build);
  process.exitCode = await runToEnd(process.execPath, ["--no-warnings", task.script, ...args]);
}

main().catch(fail);
