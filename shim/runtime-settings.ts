import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Settings } from "../config/schema.js";
import type { RuntimeSettings } from "../runtime/settings.js";

/** What tine.toml does not say. */
export interface SettingsContext {
  readonly address: string;
  readonly namespace: string;
  readonly log: (line: string) => void;
}

/** tine.toml as the runtime takes it. */
export function runtimeSettings(settings: Settings, { address, namespace, log }: SettingsContext): RuntimeSettings {
  const { strategy } = settings.fork;
  return {
    runcBinary: settings.runtime.runc,
    // Beside build/js; the variable is for trying another build.
    monitorBinary: process.env["TINE_VMM_PATH"] ?? fileURLToPath(new URL("../../bin/tine-vmm", import.meta.url)),
    forkStrategy: strategy === "auto" ? undefined : strategy,
    stateDirectory: join(settings.runtime.root, stateName(address, namespace)),
    log,
  };
}

/** Two containerds may have equal names; and sockets below need a short path. */
function stateName(address: string, namespace: string): string {
  return createHash("sha256").update(`${address}\n${namespace}`).digest("hex").slice(0, 16);
}
