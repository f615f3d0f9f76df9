import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DifferentialGroup } from "./case-table.js";
import type { Side } from "./sides.js";
import { layOut, readOutcome, type CaseOutcome } from "./work-folder.js";

/** Milliseconds a side gets for a whole group. */
export const groupLimit = 2_400_000;

/**
 * What each case of a group left behind on one side, in the table's order.
 *
 * @throws {AssertionError} when the driver itself fails or says anything.
 */
export async function runGroup(group: DifferentialGroup, side: Side): Promise<CaseOutcome[]> {
  const folder = await mkdtemp(join(tmpdir(), "tine-differential-"));
  try {
    layOut(group, folder);
    const result = await side.run(folder, groupLimit);
    assert.deepEqual(result, { status: 0, stdout: "", stderr: "" }, `the driver, ${side.name}`);
    return group.cases.map((_, index) => readOutcome(folder, index));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
