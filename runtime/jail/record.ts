import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** With which runc a container was made: another process may have to delete it. */
export interface JailRecord {
  readonly runcBinary: string;
  readonly runcRoot: string;
  readonly systemdCgroup: boolean;
}

const NAME = "jail.json";

export async function writeJailRecord(bundle: string, record: JailRecord): Promise<void> {
  await writeFile(join(bundle, NAME), JSON.stringify(record), { mode: 0o600 });
}

/** Undefined when the container was never made, or its bundle is gone. */
export async function readJailRecord(bundle: string): Promise<JailRecord | undefined> {
  let record: unknown;
  try {
    record = JSON.parse(await readFile(join(bundle, NAME), "utf8"));
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null) {
    return undefined;
  }
  const { runcBinary, runcRoot, systemdCgroup } = record as Record<string, unknown>;
  return typeof runcBinary === "string" && typeof runcRoot === "string"
    ? { runcBinary, runcRoot, systemdCgroup: systemdCgroup === true }
    : undefined;
}
