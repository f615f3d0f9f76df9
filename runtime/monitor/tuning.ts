import type { Settings } from "../../config/schema.js";

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

/** They, as the monitor's options. */
export function tuningOptions({ exitless, hugePages }: MonitorTuning): readonly string[] {
  return [`--exitless=${exitless}`, `--huge-pages=${hugePages}`];
}
