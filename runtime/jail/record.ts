import { readFile, rm, writeFile } from "node:fs/promises";
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
export async function writeJailRecord(bundle: string, record: JailRecord): Promise<void> {
  await writeFile(join(bundle, NAME), JSON.stringify(record), { mode: 0o600 });
}

/** Everything of the container is gone. */
export async function removeJailRecord(bundle: string): Promise<void> {
  await rm(join(bundle, NAME), { force: true });
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
  const { runcBinary, runcRoot } = record as Record<string, unknown>;
  return typeof runcBinary === "string" && typeof runcRoot === "string"
    ? { runcBinary, runcRoot }
    : undefined;
}
