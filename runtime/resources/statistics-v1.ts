import { readFile, readdir } from "node:fs/promises";
import { keyedNumbers, numberIn, nestedNumbers, readGroupFile } from "./files.js";
import type { GroupDirectories } from "./groups.js";

/** USER_HZ, in which cpuacct.stat counts: 100 on every architecture Linux still runs on. */
const NANOSECONDS_PER_TICK = 10_000_000n;

/** Statistics on version 1 hierarchies; times in nanoseconds, sizes in bytes. */
export async function statisticsV1(directories: GroupDirectories) {
  const [hugetlb, pids, cpu, memory, blkio, rdma, memoryOomControl] = await Promise.all([
    hugePages(directories.get("hugetlb")),
    processes(directories.get("pids")),
    processors(directories.get("cpuacct"), directories.get("cpu")),
    memoryUse(directories.get("memory")),
    blockDevices(directories.get("blkio")),
    remoteMemory(directories.get("rdma")),
    outOfMemory(directories.get("memory")),
  ]);
  return { hugetlb, pids, cpu, memory, blkio, rdma, memoryOomControl };
}

async function hugePages(directory: string | undefined) {
  if (directory === undefined) {
    return [];
  }
  const names = await readdir(directory).catch((): string[] => []);
  const sizes = names.flatMap((name) => /^hugetlb\.([^.]+)\.usage_in_bytes$/.exec(name)?.[1] ?? []);
  return Promise.all(
    sizes.map(async (pagesize) => {
      const read = (name: string) => readGroupFile(directory, `hugetlb.${pagesize}.${name}`);
      const [usage, max, failcnt] = await Promise.all([
        read("usage_in_bytes"),
        read("max_usage_in_bytes"),
        read("failcnt"),
      ]);
      return { pagesize, usage: numberIn(usage), max: numberIn(max), failcnt: numberIn(failcnt) };
    }),
  );
}

async function processes(directory: string | undefined) {
  const [current, max] = await Promise.all([
    readGroupFile(directory, "pids.current"),
    readGroupFile(directory, "pids.max"),
  ]);
  // As containerd's own shim says it: 0 is no limit.
  const limit = max?.trim() === "max" ? 0n : numberIn(max);
  return { current: numberIn(current), limit };
}

async function processors(accounting: string | undefined, scheduling: string | undefined) {
  const [total, each, ticks, throttled] = await Promise.all([
    readGroupFile(accounting, "cpuacct.usage"),
    readGroupFile(accounting, "cpuacct.usage_percpu"),
    readGroupFile(accounting, "cpuacct.stat"),
    readGroupFile(scheduling, "cpu.stat"),
  ]);
  const spent = keyedNumbers(ticks);
  const throttle = keyedNumbers(throttled);
  return {
    usage: {
      total: numberIn(total),
      kernel: (spent.get("system") ?? 0n) * NANOSECONDS_PER_TICK,
      user: (spent.get("user") ?? 0n) * NANOSECONDS_PER_TICK,
      perCpu: (each ?? "")
        .split(" ")
        .filter((value) => value.trim() !== "")
        .map(numberIn),
    },
    throttling: {
      periods: throttle.get("nr_periods") ?? 0n,
      throttledPeriods: throttle.get("nr_throttled") ?? 0n,
      throttledTime: throttle.get("throttled_time") ?? 0n,
    },
  };
}

async function memoryUse(directory: string | undefined) {
  const [text, usage, swap, kernel, kernelTcp] = await Promise.all([
    readGroupFile(directory, "memory.stat"),
    memoryCounter(directory, "memory"),
    memoryCounter(directory, "memory.memsw"),
    memoryCounter(directory, "memory.kmem"),
    memoryCounter(directory, "memory.kmem.tcp"),
  ]);
  const stat = keyedNumbers(text);
  const value = (name: string): bigint => stat.get(name) ?? 0n;
  return {
    cache: value("cache"),
    rss: value("rss"),
    rssHuge: value("rss_huge"),
    mappedFile: value("mapped_file"),
    dirty: value("dirty"),
    writeback: value("writeback"),
    pgPgIn: value("pgpgin"),
    pgPgOut: value("pgpgout"),
    pgFault: value("pgfault"),
    pgMajFault: value("pgmajfault"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    hierarchicalMemoryLimit: value("hierarchical_memory_limit"),
    hierarchicalSwapLimit: value("hierarchical_memsw_limit"),
    totalCache: value("total_cache"),
    totalRss: value("total_rss"),
    totalRssHuge: value("total_rss_huge"),
    totalMappedFile: value("total_mapped_file"),
    totalDirty: value("total_dirty"),
    totalWriteback: value("total_writeback"),
    totalPgPgIn: value("total_pgpgin"),
    totalPgPgOut: value("total_pgpgout"),
    totalPgFault: value("total_pgfault"),
    totalPgMajFault: value("total_pgmajfault"),
    totalInactiveAnon: value("total_inactive_anon"),
    totalActiveAnon: value("total_active_anon"),
    totalInactiveFile: value("total_inactive_file"),
    totalActiveFile: value("total_active_file"),
    totalUnevictable: value("total_unevictable"),
    usage,
    swap,
    kernel,
    kernelTcp,
  };
}

async function memoryCounter(directory: string | undefined, prefix: string) {
  const [limit, usage, max, failcnt] = await Promise.all(
    ["limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt"].map((name) =>
      readGroupFile(directory, `${prefix}.${name}`),
    ),
  );
  return {
    limit: numberIn(limit),
    usage: numberIn(usage),
    max: numberIn(max),
    failcnt: numberIn(failcnt),
  };
}

async function blockDevices(directory: string | undefined) {
  const names = await deviceNames();
  const read = async (name: string) => blockEntries(await readGroupFile(directory, name), names);
  const [ioServiceBytesRecursive, ioServicedRecursive] = await Promise.all([
    read("blkio.throttle.io_service_bytes_recursive"),
    read("blkio.throttle.io_serviced_recursive"),
  ]);
  return { ioServiceBytesRecursive, ioServicedRecursive };
}

/** Lines of `major:minor operation count`. */
function blockEntries(text: string | undefined, names: ReadonlyMap<string, string>) {
  return (text ?? "").split("\n").flatMap((line) => {
    const [number, op, count] = line.trim().split(" ");
    const [major, minor] = (number ?? "").split(":");
    if (op === undefined || count === undefined || minor === undefined) {
      return [];
    }
    const device = names.get(number ?? "") ?? "";
    return [{ op, device, major: numberIn(major), minor: numberIn(minor), value: numberIn(count) }];
  });
}

async function deviceNames(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile("/proc/diskstats", "utf8").catch(() => "");
  return new Map(
    text.split("\n").flatMap((line): [string, string][] => {
      const [major, minor, name] = line.trim().split(/\s+/);
      return name === undefined ? [] : [[`${major}:${minor}`, `/dev/${name}`]];
    }),
  );
}

async function remoteMemory(directory: string | undefined) {
  const [current, limit] = await Promise.all([
    readGroupFile(directory, "rdma.current"),
    readGroupFile(directory, "rdma.max"),
  ]);
  return { current: rdmaEntries(current), limit: rdmaEntries(limit) };
}

/** Lines of `device hca_handle=number hca_object=number`; no limit is the greatest number. */
export function rdmaEntries(text: string | undefined) {
  return [...nestedNumbers(text)].map(([device, values]) => ({
    device,
    hcaHandles: Number((values.get("hca_handle") ?? 0n) & 0xffff_ffffn),
    hcaObjects: Number((values.get("hca_object") ?? 0n) & 0xffff_ffffn),
  }));
}

async function outOfMemory(directory: string | undefined) {
  const values = keyedNumbers(await readGroupFile(directory, "memory.oom_control"));
  return {
    oomKillDisable: values.get("oom_kill_disable") ?? 0n,
    underOom: values.get("under_oom") ?? 0n,
    oomKill: values.get("oom_kill") ?? 0n,
  };
}
