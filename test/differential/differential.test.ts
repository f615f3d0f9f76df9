import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianImage } from "../harness/image.js";
import { readGroups } from "./case-table.js";
import { differentialPackages } from "./packages.js";
import { microVmSide, nativeSide, unpackImage, type Side } from "./sides.js";
import { layOut, readOutcome } from "./work-folder.js";

/** Milliseconds a side gets for a whole group. */
const groupLimit = 2_400_000;

describe("programs of a distribution behave in microVMs as on Linux", function () {
  this.timeout(2 * groupLimit);
  let sides: Side[];

  before(async () => {
    const root = await unpackImage(await debianImage(differentialPackages));
    sides = [nativeSide(root), microVmSide(root)];
  });

  for (const group of readGroups()) {
    describe(group.name, () => {
      const folders: string[] = [];

      before(async () => {
        for (const side of sides) {
          const folder = mkdtempSync(join(tmpdir(), "tine-differential-"));
          folders.push(folder);
          layOut(group, folder);
          const result = await side.run(folder, groupLimit);
          assert.deepEqual(result, { status: 0, stdout: "", stderr: "" }, `the driver, ${side.name}`);
        }
      });

      after(() => {
        for (const folder of folders) rmSync(folder, { recursive: true, force: true });
      });

      group.cases.forEach((one, index) => {
        it(one.name, () => {
          const [native, guest] = folders.map((folder) => readOutcome(folder, index));
          assert.deepEqual(guest, native);
        });
      });
    });
  }
});
