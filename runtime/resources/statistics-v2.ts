import { readdir } from "node:fs/promises";
import { keyedNumbers, nestedNumbers, numberIn, readGroupFile } from "./files.js";
import type { GroupDirectories } from "./groups.js";
import { rdmaEntries } from "./statistics-v1.js";

/** Statistics on the unified hierarchy; times in microseconds, sizes in bytes. */
export async function statisticsV2(directories: GroupDirectories) {
  const directory = directories.get("");
  const read = (name: string) => readGroupFile(directory, name);
  const [pidsCurrent, pidsMax, cpu, memory, memoryEvents, io, rdmaCurrent, rdmaMax, hugetlb] =
    await Promise.all([
      read("pids.current"),
      read("pids.max"),
      read("cpu.stat"),
      memoryUse(directory),
      read("memory.events"),
      read("io.stat"),
      read("rdma.current"),
      read("rdma.max"),
      hugePages(directory),
    ]);
  return {
    pids: { current: numberIn(pidsCurrent), limit: pidsMax?.trim() === "max" ? 0n : numberIn(pidsMax) },
    cpu: processors(keyedNumbers(cpu)),
    memory,
    memoryEvents: memoryEventCounts(keyedNumbers(memoryEvents)),
    io: { usage: blockDevices(io) },
    rdma: { current: rdmaEntries(rdmaCurrent), limit: rdmaEntries(rdmaMax) },
    hugetlb,
  };
}

function processors(stat: ReadonlyMap<string, bigint>) {
  const value = (name: string): bigint => stat.get(name) ?? 0n;
  return {
    usageUsec: value("usage_usec"),
    userUsec: value("user_usec"),
    systemUsec: value("system_usec"),
    nrPeriods: value("nr_periods"),
    nrThrottled: value("nr_throttled"),
    throttledUsec: value("throttled_usec"),
  };
}

async function memoryUse(directory: string | undefined) {
  const read = (name: string) => readGroupFile(directory, name);
  const [text, usage, usageLimit, swapUsage, swapLimit, maxUsage, swapMaxUsage] = await Promise.all([
    read("memory.stat"),
    read("memory.current"),
    read("memory.max"),
    read("memory.swap.current"),
    read("memory.swap.max"),
    read("memory.peak"),
    read("memory.swap.peak"),
  ]);
  const stat = keyedNumbers(text);
  const value = (name: string): bigint => stat.get(name) ?? 0n;
  return {
    anon: value("anon"),
    file: value("file"),
    kernelStack: value("kernel_stack"),
    slab: value("slab"),
    sock: value("sock"),
    shmem: value("shmem"),
    fileMapped: value("file_mapped"),
    fileDirty: value("file_dirty"),
    fileWriteback: value("file_writeback"),
    anonThp: value("anon_thp"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    slabReclaimable: value("slab_reclaimable"),
    slabUnreclaimable: value("slab_unreclaimable"),
    pgfault: value("pgfault"),
    pgmajfault: value("pgmajfault"),
    // Since 5.9 these are counted apart for anonymous memory and files.
    workingsetRefault: value("workingset_refault_anon") + value("workingset_refault_file"),
    workingsetActivate: value("workingset_activate_anon") + value("workingset_activate_file"),
    workingsetNodereclaim: value("workingset_nodereclaim"),
    pgrefill: value("pgrefill"),
    pgscan: value("pgscan"),
    pgsteal: value("pgsteal"),
    pgactivate: value("pgactivate"),
    pgdeactivate: value("pgdeactivate"),
    pglazyfree: value("pglazyfree"),
    pglazyfreed: value("pglazyfreed"),
    thpFaultAlloc: value("thp_fault_alloc"),
    thpCollapseAlloc: value("thp_collapse_alloc"),
    usage: numberIn(usage),
    usageLimit: numberIn(usageLimit),
    swapUsage: numberIn(swapUsage),
    swapLimit: numberIn(swapLimit),
    maxUsage: numberIn(maxUsage),
    swapMaxUsage: numberIn(swapMaxUsage),
  };
}

function memoryEventCounts(events: ReadonlyMap<string, bigint>) {
  const value = (name: string): bigint => events.get(name) ?? 0n;
  return {
    low: value("low"),
    high: value("high"),
    max: value("max"),
    oom: value("oom"),
    oomKill: value("oom_kill"),
  };
}

function blockDevices(text: string | undefined) {
  return [...nestedNumbers(text)].map(([device, values]) => {
    const [major, minor] = device.split(":");
    const value = (name: string): bigint => values.get(name) ?? 0n;
    return {
      major: numberIn(major),
      minor: numberIn(minor),
      rbytes: value("rbytes"),
      wbytes: value("wbytes"),
      rios: value("rios"),
      wios: value("wios"),
    };
  });
}

async function hugePages(directory: string | undefined) {
  if (directory === undefined) {
    return [];
  }
  const names = await readdir(directory).catch((): string[] => []);
  const sizes = names.flatMap((name) => /^hugetlb\.([^.]+)\.current$/.exec(name)?.[1] ?? []);
  return Promise.all(
    sizes.map(async (pagesize) => {
      const [current, max] = await Promise.all([
        readGroupFile(directory, `hugetlb.${pagesize}.current`),
        readGroupFile(directory, `hugetlb.${pagesize}.max`),
      ]);
      return { pagesize, current: numberIn(current), max: numberIn(max) };
    }),
  );
}
