import assert from "node:assert/strict";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { debianImage } from "../harness/image.js";
import { readGroups } from "./case-table.js";
import { containerSide } from "./container-side.js";
import { groupLimit, runGroup } from "./run-group.js";
import type { Side } from "./sides.js";
import type { CaseOutcome } from "./work-folder.js";

/** Groups of which the demo's image has all programs; `npm run test:differential` runs the others too. */
const slice = ["dash", "python3"];

describe("programs of a distribution behave in containers under Tine as under runc", function () {
  this.timeout(2 * groupLimit);
  let containerd: PrivateContainerd;
  const outcomes = new Map<string, CaseOutcome[][]>();

  before(async () => {
    containerd = await PrivateContainerd.start({ keepImages: true });
    const image = await debianImage();
    const sides: Side[] = [];
    for (const runtime of [runc, tine]) {
      const ctr = new Ctr(containerd, "tine-test", runtime);
      await ctr.import(image);
      sides.push(containerSide(runtime, ctr, image));
    }
    for (const group of readGroups().filter(({ name }) => slice.includes(name))) {
      const both: CaseOutcome[][] = [];
      for (const side of sides) both.push(await runGroup(group, side));
      outcomes.set(group.name, both);
    }
  });

  after(async () => {
    await containerd.stop();
  });

  for (const group of readGroups().filter(({ name }) => slice.includes(name))) {
    group.cases.forEach((one, index) => {
      it(`${group.name}: ${one.name}`, () => {
        const [peer, ours] = outcomes.get(group.name) ?? [];
        assert.deepEqual(ours?.[index], peer?.[index]);
      });
    });
  }
});
