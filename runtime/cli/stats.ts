import { execFileSync } from "node:child_process";
import { writeSync } from "node:fs";
import { loadSettings } from "../../config/settings.js";
import { RuntimeError } from "../errors.js";
import type { CallCount } from "../fork/board.js";
import { findContainer, runningContainers, type RunningContainer } from "../jail/running.js";
import { figuresOf, type ContainerFigures } from "../resources/figures.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";
import { monitor } from "./installation.js";
import { table } from "./table.js";
import { duration, size } from "./units.js";

const details = `Of each container that runs, or of ID alone: CPU time, memory and processes as its control group counts them, and
the forks of the processes that live, since each began its program: how many, the time of one on average, what nine
of ten took at most (to a fifth), how much was copied at once, the strategy; the programs that they have begun
(EXECS). ID may be the beginning of one.

With --calls, the system calls of the processes that live, since each began its program: how many were served
after leaving the virtual machine (EXIT) and without leaving it (POSTED, see docs/exitless.md), and the time from
a call's arrival to its answer, waiting included. Calls that the vDSO answers in place reach no monitor and are
not counted; what leaving the machine itself costs is not in the time: tine doctor tells it.
`;

/** `tine stats`: what containers use. */
export const statsCommand: Command = {
  usage: "stats [--calls] [--json] [ID]",
  summary: "shows what containers use: CPU, memory, processes, forks, system calls",
  details,
  options: {
    "--calls": { text: "the system calls too" },
    "--json": { text: "the same, for programs: times in seconds, sizes in bytes" },
  },
  operands: "container",
  async run(args) {
    const { options, operands } = parseOptions(args, this);
    const [id, ...rest] = operands;
    if (rest.length > 0) throw new CommandLineError(`stats takes one container, not ${operands.length}`);
    const { root } = loadSettings().runtime;
    const containers = id === undefined ? runningContainers(root) : [findContainer(root, id)];
    const withCalls = options.has("--calls");
    const names = withCalls ? callNames() : new Map<number, string>();
    const read = (await Promise.all(containers.map(withFigures))).flat();
    const text = options.has("--json")
      ? `${JSON.stringify(
          read.map((container) => forPrograms(container, names, withCalls)),
          undefined,
          2,
        )}\n`
      : overview(read) + (withCalls ? read.map((container) => callTable(container, names)).join("") : "");
    writeSync(1, text);
    return 0;
  },
};

type Listed = Pick<RunningContainer, "id" | "namespace"> & ContainerFigures;

/** Nothing for a container that ends meanwhile. */
async function withFigures({ id, namespace, pid }: RunningContainer): Promise<Listed[]> {
  try {
    return [{ id, namespace, ...(await figuresOf(pid)) }];
  } catch (error) {
    if (error instanceof RuntimeError && error.code === "not-found") return [];
    throw error;
  }
}

/** The monitor knows them. */
function callNames(): ReadonlyMap<number, string> {
  const rows = JSON.parse(execFileSync(monitor, ["--syscalls"], { encoding: "utf8" })) as {
    number: number;
    name: string;
  }[];
  return new Map(rows.map(({ number, name }) => [number, name]));
}

function nameOf({ number }: CallCount, names: ReadonlyMap<number, string>): string {
  return names.get(number) ?? `call ${number}`;
}

function forPrograms(
  { calls, ...container }: Listed,
  names: ReadonlyMap<number, string>,
  withCalls: boolean,
) {
  if (!withCalls) return container;
  return { ...container, calls: calls.map((call) => ({ name: nameOf(call, names), ...call })) };
}

function overview(containers: readonly Listed[]): string {
  const rows = containers.map(
    ({ id, namespace = "-", cpuSeconds, memoryBytes, memoryLimitBytes, ...rest }) => [
      id.slice(0, 32),
      namespace,
      duration(cpuSeconds.total),
      `${size(memoryBytes)}${memoryLimitBytes === undefined ? "" : ` / ${size(memoryLimitBytes)}`}`,
      `${rest.pids}${rest.pidsLimit === undefined ? "" : ` / ${rest.pidsLimit}`}`,
      String(rest.forks.count),
      rest.forks.count === 0 || rest.forks.seconds === undefined
        ? "-"
        : duration(rest.forks.seconds / rest.forks.count),
      rest.forks.percentiles === undefined ? "-" : duration(rest.forks.percentiles.p90),
      size(rest.forks.copiedBytes),
      String(rest.execs),
      Object.keys(rest.forks.strategies).join(" "),
    ],
  );
  return table([
    [
      "CONTAINER",
      "NAMESPACE",
      "CPU",
      "MEMORY",
      "PIDS",
      "FORKS",
      "EACH",
      "90%",
      "COPIED",
      "EXECS",
      "STRATEGY",
    ],
    ...rows,
  ]);
}

function callTable({ id, calls }: Listed, names: ReadonlyMap<number, string>): string {
  const rows = calls.map((call) => [
    nameOf(call, names),
    String(call.exits),
    String(call.posted),
    call.seconds === undefined ? "-" : duration(call.seconds),
    call.seconds === undefined ? "-" : duration(call.seconds / (call.exits + call.posted)),
  ]);
  return `\n${id}\n${table([["CALL", "EXIT", "POSTED", "TIME", "EACH"], ...rows])}`;
}
