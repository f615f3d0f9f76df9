import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * With which runc a container was made: another process may have to delete it.
 * The file is there before anything else is, and goes last, so that a bundle
 * without it has nothing to clean up.
 */
export interface JailRecord {
  readonly runcBinary: string;
  readonly runcRoot: string;
}

const NAME = "jail.json";

/** @throws the system's error */
export function writeJailRecord(bundle: string, record: JailRecord): void {
  writeFileSync(join(bundle, NAME), JSON.stringify(record), { mode: 0o600 });
}

/** Everything of the container is gone. */
export function removeJailRecord(bundle: string): void {
  rmSync(join(bundle, NAME), { force: true });
}

/** Undefined when the container was never made, or its bundle is gone. */
export function readJailRecord(bundle: string): JailRecord | undefined {
  let record: unknown;
  try {
    record = JSON.parse(readFileSync(join(bundle, NAME), "utf8"));
  } catch {
    return undefined;
  }
  if (typeof record !== "object" || record === null) {
    return undefined;
  }
  const { runcBinary, runcRoot } = record as Record<string, unknown>;
  return typeof runcBinary === "string" && typeof runcRoot === "string"
    ? { runcBinary, runcRoot }
    : undefined;
}
