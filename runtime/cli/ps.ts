import { writeSync } from "node:fs";
import { loadSettings } from "../../config/settings.js";
import { ContainerResources } from "../resources/container-resources.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";
import { runningContainers, type RunningContainer } from "../jail/running.js";
import { table } from "./table.js";
import { processTree, type TreeEntry } from "./process-tree.js";

const details = `Each container's id, containerd namespace, first process, number of processes and memory, and below it its
processes as a tree: the host's pid, bytes in memory, bytes of those that no other process shares (what a fork
shares with its parent until one of them writes is not its own), command line.
`;

/** `tine ps`: the containers that run, with their processes. */
export const psCommand: Command = {
  usage: "ps [--quiet | --json]",
  summary: "lists the containers that run, with their process trees and memory",
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

interface Listed extends RunningContainer {
  readonly processes: readonly TreeEntry[];
}

async function withProcesses(container: RunningContainer): Promise<Listed> {
  // A container that ends meanwhile has none any more.
  const pids = await ContainerResources.of(container.pid)
    .processes()
    .catch(() => []);
  return { ...container, processes: processTree(pids) };
}

function listing(containers: readonly Listed[]): string {
  const lines = [["CONTAINER", "NAMESPACE", "PID", "PROCESSES", "MEMORY", "OWN", "COMMAND"]];
  for (const { id, namespace = "-", pid, processes } of containers) {
    const own = processes.reduce((sum, entry) => sum + entry.own, 0);
    lines.push([id.slice(0, 32), namespace, String(pid), String(processes.length), "", size(own), ""]);
    for (const entry of processes) {
      const command = `${"  ".repeat(entry.depth)}${entry.command}`;
      lines.push(["", "", String(entry.pid), "", size(entry.resident), size(entry.own), command]);
    }
  }
  return table(lines);
}

function size(bytes: number): string {
  return bytes < 10 * 1024 * 1024 ? `${Math.round(bytes / 1024)}K` : `${Math.round(bytes / 1024 / 1024)}M`;
}
