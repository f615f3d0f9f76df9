import assert from "node:assert/strict";
import { debianImage } from "../harness/image.js";
import { readGroups } from "./case-table.js";
import { differentialPackages } from "./packages.js";
import { groupLimit, runGroup } from "./run-group.js";
import { microVmSide, nativeSide, unpackImage, type Side } from "./sides.js";
import type { CaseOutcome } from "./work-folder.js";

describe("programs of a distribution behave in microVMs as on Linux", function () {
  this.timeout(2 * groupLimit);
  let sides: Side[];

  before(async () => {
    const root = await unpackImage(await debianImage(differentialPackages));
    sides = [nativeSide(root), microVmSide(root)];
  });

  for (const group of readGroups()) {
    describe(group.name, () => {
      const outcomes: CaseOutcome[][] = [];

      before(async () => {
        for (const side of sides) outcomes.push(await runGroup(group, side));
      });

      group.cases.forEach((one, index) => {
        it(one.name, () => {
          const [native, guest] = outcomes;
          assert.deepEqual(guest?.[index], native?.[index]);
        });
      });
    });
  }
});
