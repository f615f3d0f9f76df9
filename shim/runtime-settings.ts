import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Settings } from "../config/schema.js";
import { configuredTranslators } from "../config/translators.js";
import { monitorTuning } from "../runtime/monitor/tuning.js";
import type { RuntimeSettings } from "../runtime/settings.js";

/** What tine.toml does not say. */
export interface SettingsContext {
  /** The daemon's socket: each daemon has a folder for its state alone, and removes it when it leaves. */
  readonly socket: string;
  readonly log: (line: string) => void;
}

/** tine.toml as the runtime takes it. */
export function runtimeSettings(settings: Settings, { socket, log }: SettingsContext): RuntimeSettings {
  return {
    runcBinary: settings.runtime.runc,
    // Beside build/js; the variable is for trying another build.
    monitorBinary:
      process.env["TINE_VMM_PATH"] ?? fileURLToPath(new URL("../../bin/tine-vmm", import.meta.url)),
    forkStrategy: settings.fork.strategy,
    tuning: monitorTuning(settings),
    translators: configuredTranslators(settings),
    stateDirectory: join(settings.runtime.root, stateName(socket)),
    log,
  };
}

/** Short, since it is part of a socket's path. */
function stateName(socket: string): string {
  return createHash("sha256").update(socket).digest("hex").slice(0, 16);
}
