import { readdir } from "node:fs/promises";
import { runningContainers } from "../../runtime/jail/running.js";
import { figuresOf, type ContainerFigures } from "../../runtime/resources/figures.js";
import type { Metric, Sample } from "./text.js";

/** What the daemon knows of itself. */
export interface DaemonFigures {
  readonly version: string;
  readonly namespace: string;
  /** Containers that it serves. */
  readonly containers: number;
}

interface Measured extends ContainerFigures {
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Measures this daemon and every container that runs on the machine.
 *
 * @param root - the folder of all state: `runtime.root` of tine.toml
 */
export async function collectMetrics(root: string, daemon: DaemonFigures): Promise<Metric[]> {
  const containers = (await Promise.all(runningContainers(root).map(measure))).flat();
  return [...(await daemonMetrics(daemon)), ...containerMetrics(containers)];
}

/** Nothing for a container that ends meanwhile. */
async function measure(container: ReturnType<typeof runningContainers>[number]): Promise<Measured[]> {
  try {
    const labels = { namespace: container.namespace ?? "", id: container.id };
    return [{ labels, ...(await figuresOf(container.pid)) }];
  } catch {
    return [];
  }
}

async function daemonMetrics({ version, namespace, containers }: DaemonFigures): Promise<Metric[]> {
  const { user, system } = process.cpuUsage();
  const labels = { namespace };
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    type: "gauge",
    help,
    samples: [[labels, value]],
  });
  return [
    { name: "tine_info", type: "gauge", help: "The version of Tine.", samples: [[{ version }, 1]] },
    gauge("tine_daemon_containers", "Containers that the answering daemon serves.", containers),
    gauge("tine_daemon_memory_bytes", "Resident memory of the answering daemon.", process.memoryUsage.rss()),
    gauge(
      "tine_daemon_descriptors",
      "Open descriptors of the answering daemon.",
      (await readdir("/proc/self/fd")).length,
    ),
    gauge(
      "tine_daemon_start_time_seconds",
      "When the answering daemon began, since 1970.",
      performance.timeOrigin / 1000,
    ),
    {
      name: "tine_daemon_cpu_seconds_total",
      type: "counter",
      help: "CPU time of the answering daemon.",
      samples: [
        [{ ...labels, mode: "user" }, user / 1e6],
        [{ ...labels, mode: "kernel" }, system / 1e6],
      ],
    },
  ];
}

function containerMetrics(containers: readonly Measured[]): Metric[] {
  const metric = (
    name: string,
    type: Metric["type"],
    help: string,
    samples: (container: Measured) => readonly Sample[],
  ): Metric => ({ name, type, help, samples: containers.flatMap(samples) });
  const one =
    (value: (container: Measured) => number | undefined) =>
    (container: Measured): Sample[] => {
      const measured = value(container);
      return measured === undefined ? [] : [[container.labels, measured]];
    };
  return [
    metric(
      "tine_container_cpu_seconds_total",
      "counter",
      "CPU time of a container's control group.",
      ({ labels, cpuSeconds }) => [
        [{ ...labels, mode: "user" }, cpuSeconds.user],
        [{ ...labels, mode: "kernel" }, cpuSeconds.kernel],
      ],
    ),
    metric(
      "tine_container_memory_bytes",
      "gauge",
      "Memory of a container's control group, page cache included.",
      one(({ memoryBytes }) => memoryBytes),
    ),
    metric(
      "tine_container_memory_limit_bytes",
      "gauge",
      "What a container's memory is limited to.",
      one(({ memoryLimitBytes }) => memoryLimitBytes),
    ),
    metric(
      "tine_container_processes",
      "gauge",
      "Tasks of a container's control group.",
      one(({ pids }) => pids),
    ),
    metric(
      "tine_container_forks",
      "gauge",
      "Forks made by a container's processes that live.",
      one(({ forks }) => forks.count),
    ),
    metric(
      "tine_container_fork_seconds",
      "gauge",
      "What those forks took, from the call to the child's first word.",
      one(({ forks }) => forks.seconds),
    ),
    metric(
      "tine_container_fork_quantile_seconds",
      "gauge",
      "What that share of those forks took at most.",
      ({ labels, forks: { percentiles } }) =>
        percentiles === undefined
          ? []
          : [
              [{ ...labels, quantile: "0.5" }, percentiles.p50],
              [{ ...labels, quantile: "0.9" }, percentiles.p90],
              [{ ...labels, quantile: "0.99" }, percentiles.p99],
            ],
    ),
    metric(
      "tine_container_fork_copied_bytes",
      "gauge",
      "What was copied at once for those processes that came from forks.",
      one(({ forks }) => forks.copiedBytes),
    ),
    metric(
      "tine_container_fork_strategy_processes",
      "gauge",
      "Processes by the strategy that their forks take.",
      ({ labels, forks: { strategies } }) =>
        Object.entries(strategies).map(([strategy, count]) => [{ ...labels, strategy }, count]),
    ),
    metric(
      "tine_container_execs",
      "gauge",
      "Programs that a container's processes that live have begun since each was forked.",
      one(({ execs }) => execs),
    ),
    metric(
      "tine_container_calls",
      "gauge",
      "System calls of a container's processes that live, by how they were served.",
      ({ labels, calls }) => [
        [{ ...labels, served: "exit" }, calls.reduce((sum, { exits }) => sum + exits, 0)],
        [{ ...labels, served: "posted" }, calls.reduce((sum, { posted }) => sum + posted, 0)],
      ],
    ),
  ];
}
