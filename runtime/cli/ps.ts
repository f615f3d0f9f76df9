import { writeSync } from "node:fs";
import { loadSettings } from "../../config/settings.js";
import { ContainerResources } from "../resources/container-resources.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";
import { runningContainers, type RunningContainer } from "../jail/running.js";
import { table } from "./table.js";
import { processTree, type TreeEntry } from "./process-tree.js";
import { duration, size } from "./units.js";
import { forksOf, type ForkCount } from "../resources/figures.js";

const details = `Each container's id, containerd namespace, first process and number of processes, and below it its processes as
a tree: the host's PID, what it has in MEMORY, what of that is its OWN (shared with no other process: what a fork
shares with its parent until one of them writes is not), the FORKS that it has made since it began its program and
what EACH took on average. The container's OWN and FORKS are its processes' together. tine stats tells more of forks.
`;

/** `tine ps`: the containers that run, with their processes. */
export const psCommand: Command = {
  usage: "ps [--quiet | --json]",
  summary: "lists the containers that run, with their process trees, memory and forks",
  details,
  options: { "--quiet": { text: "ids alone" }, "--json": { text: "all of it, for programs" } },
  operands: "none",
  async run(args) {
    const { options, operands } = parseOptions(args, this);
    if (operands.length > 0) throw new CommandLineError(`ps takes no ${JSON.stringify(operands[0])}`);
    const containers = runningContainers(loadSettings().runtime.root);
    if (options.has("--quiet")) {
      writeSync(1, containers.map(({ id }) => `${id}\n`).join(""));
      return 0;
    }
    const listed = await Promise.all(containers.map(withProcesses));
    writeSync(1, options.has("--json") ? `${JSON.stringify(listed, undefined, 2)}\n` : listing(listed));
    return 0;
  },
};

interface ListedProcess extends TreeEntry {
  readonly forks: ForkCount;
}

interface Listed extends RunningContainer {
  readonly processes: readonly ListedProcess[];
}

async function withProcesses(container: RunningContainer): Promise<Listed> {
  // A container that ends meanwhile has none any more.
  const pids = await ContainerResources.of(container.pid)
    .processes()
    .catch(() => []);
  const processes = processTree(pids).map((entry) => ({ ...entry, forks: forksOf([entry.pid]) }));
  return { ...container, processes };
}

function listing(containers: readonly Listed[]): string {
  const lines = [["CONTAINER", "NAMESPACE", "PID", "PROCESSES", "MEMORY", "OWN", "FORKS", "EACH", "COMMAND"]];
  for (const { id, namespace = "-", pid, processes } of containers) {
    const own = processes.reduce((sum, entry) => sum + entry.own, 0);
    const whole = [id.slice(0, 32), namespace, String(pid), String(processes.length), "", size(own)];
    lines.push([...whole, ...forkCells(forksOf(processes.map((entry) => entry.pid))), ""]);
    for (const entry of processes) {
      const command = `${"  ".repeat(entry.depth)}${entry.command}`;
      const cells = ["", "", String(entry.pid), "", size(entry.resident), size(entry.own)];
      lines.push([...cells, ...forkCells(entry.forks), command]);
    }
  }
  return table(lines);
}

function forkCells({ count, seconds }: ForkCount): [count: string, each: string] {
  return [String(count), count === 0 || seconds === undefined ? "-" : duration(seconds / count)];
}
