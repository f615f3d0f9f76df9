import type { Settings } from "../../config/schema.js";

/** Microseconds of a period when none is given (Linux, kernel/sched/core.c). */
const defaultPeriod = 100_000n;

const mebibyte = 1n << 20n;

/** How much of a container's memory limit copies of code may take: one part of so many. */
const codeShare = 8n;

/** What tine.toml says about how a monitor serves its guest. */
export interface MonitorTuning {
  /** `calls.exitless`. */
  readonly exitless: Settings["calls"]["exitless"];
  /** `memory.huge_pages`. */
  readonly hugePages: Settings["memory"]["huge_pages"];
  /** `memory.code_store`, in MiB. */
  readonly codeStore: number;
}

/** What a container's specification gives it, as far as its monitors' work depends on that. */
export interface Granted {
  /** `linux.resources.cpu.quota`, microseconds in each period; undefined or not above 0 for no limit. */
  readonly quota: bigint | undefined;
  /** `linux.resources.cpu.period`, microseconds. */
  readonly period: bigint | undefined;
  /** `linux.resources.memory.limit`, bytes; undefined or not above 0 for no limit. */
  readonly memory: bigint | undefined;
}

/** The settings that each monitor is told. */
export function monitorTuning({ calls, memory }: Settings): MonitorTuning {
  return { exitless: calls.exitless, hugePages: memory.huge_pages, codeStore: memory.code_store };
}

/**
 * The same for a container with limits. Where it gets less than two processors' time a second thread that waits awake
 * only takes time from the first; and copies of code must never be what brings it to its memory limit.
 */
export function tuningWithin(tuning: MonitorTuning, { quota, period, memory }: Granted): MonitorTuning {
  const slow = quota !== undefined && quota > 0n && quota < 2n * (period ?? defaultPeriod);
  const room = memory !== undefined && memory > 0n ? memory / codeShare / mebibyte : undefined;
  return {
    ...tuning,
    exitless: slow && tuning.exitless === "auto" ? "off" : tuning.exitless,
    codeStore: room !== undefined && room < BigInt(tuning.codeStore) ? Number(room) : tuning.codeStore,
  };
}

/** They, as the monitor's options. */
export function tuningOptions({ exitless, hugePages, codeStore }: MonitorTuning): readonly string[] {
  return [`--exitless=${exitless}`, `--huge-pages=${hugePages}`, `--code-store=${codeStore}`];
}
