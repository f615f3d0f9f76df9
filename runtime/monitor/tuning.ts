import type { Settings } from "../../config/schema.js";

/** Microseconds of a period when none is given (Linux, kernel/sched/core.c). */
const defaultPeriod = 100_000n;

/** What tine.toml says about how a monitor serves its guest. */
export interface MonitorTuning {
  /** `calls.exitless`. */
  readonly exitless: Settings["calls"]["exitless"];
  /** `memory.huge_pages`. */
  readonly hugePages: Settings["memory"]["huge_pages"];
}

/** The settings that each monitor is told. */
export function monitorTuning({ calls, memory }: Settings): MonitorTuning {
  return { exitless: calls.exitless, hugePages: memory.huge_pages };
}

/**
 * The same for a container that gets less than two processors' time: there a second thread that waits awake only
 * takes time from the first.
 *
 * @param quota `linux.resources.cpu.quota`, microseconds in each period; undefined or not above 0 for no limit.
 * @param period `linux.resources.cpu.period`, microseconds.
 */
export function tuningWithin(
  tuning: MonitorTuning,
  quota: bigint | undefined,
  period: bigint | undefined,
): MonitorTuning {
  const limited = quota !== undefined && quota > 0n && quota < 2n * (period ?? defaultPeriod);
  return limited && tuning.exitless === "auto" ? { ...tuning, exitless: "off" } : tuning;
}

/** They, as the monitor's options. */
export function tuningOptions({ exitless, hugePages }: MonitorTuning): readonly string[] {
  return [`--exitless=${exitless}`, `--huge-pages=${hugePages}`];
}
