import type { Statistics } from "./container-resources.js";

/** What a container uses, whatever the host's kind of control groups. */
export interface Usage {
  /** Of all its processes since it began, those that have ended included. */
  readonly cpuSeconds: { readonly total: number; readonly user: number; readonly kernel: number };
  /** The group's, page cache included. */
  readonly memoryBytes: number;
  /** undefined: none but the machine's. */
  readonly memoryLimitBytes: number | undefined;
  readonly pids: number;
  /** undefined: none but the machine's. */
  readonly pidsLimit: number | undefined;
}

/** What both versions say no limit with: the greatest number, or on version 1 that number in whole pages. */
const unlimited = 2n ** 62n;

/** The figures that people look at, out of all those of containerd's message. */
export function usageOf(statistics: Statistics): Usage {
  const limit = (value: bigint): number | undefined =>
    value === 0n || value > unlimited ? undefined : Number(value);
  if (statistics.mode === "v1") {
    const { cpu, memory, pids } = statistics.metrics;
    const seconds = (nanoseconds: bigint): number => Number(nanoseconds) / 1e9;
    return {
      cpuSeconds: {
        total: seconds(cpu.usage.total),
        user: seconds(cpu.usage.user),
        kernel: seconds(cpu.usage.kernel),
      },
      memoryBytes: Number(memory.usage.usage),
      memoryLimitBytes: limit(memory.usage.limit),
      pids: Number(pids.current),
      pidsLimit: limit(pids.limit),
    };
  }
  const { cpu, memory, pids } = statistics.metrics;
  const seconds = (microseconds: bigint): number => Number(microseconds) / 1e6;
  return {
    cpuSeconds: {
      total: seconds(cpu.usageUsec),
      user: seconds(cpu.userUsec),
      kernel: seconds(cpu.systemUsec),
    },
    memoryBytes: Number(memory.usage),
    memoryLimitBytes: limit(memory.usageLimit),
    pids: Number(pids.current),
    pidsLimit: limit(pids.limit),
  };
}
