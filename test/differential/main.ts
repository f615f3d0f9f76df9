/**
 * `npm run test:differential [-- GROUP…]`: every case on Linux itself (in a changed root), in a container under runc and
 * in one under Tine. The results of a whole run are kept in results.json. Exit status 1 when something differs between
 * runc and Tine.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { debianImage } from "../harness/image.js";
import { repository } from "../harness/paths.js";
import { readGroups } from "./case-table.js";
import { containerSide } from "./container-side.js";
import { differentialPackages } from "./packages.js";
import { runGroup } from "./run-group.js";
import { nativeSide, unpackImage } from "./sides.js";
import type { CaseOutcome } from "./work-folder.js";

/** What results.json says of a case. */
interface CaseResult {
  group: string;
  name: string;
  outcome: "same" | "different";
  /** Where both containers differ from the changed root: what the jail does to the case, under either runtime. */
  jail?: "differs from native";
}

const wanted = process.argv.slice(2);
const results: CaseResult[] = [];
const image = await debianImage(differentialPackages, (text) => console.log(text));
const native = nativeSide(await unpackImage(image));
await using containerd = await PrivateContainerd.start({ keepImages: true });
const underRunc = new Ctr(containerd, "tine-test", runc);
console.log("importing the image");
await underRunc.import(image);
const sides = [
  native,
  containerSide("runc", underRunc, image),
  containerSide("Tine", new Ctr(containerd, "tine-test", tine), image),
];
for (const group of readGroups().filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const seconds: string[] = [];
  const outcomes: CaseOutcome[][] = [];
  for (const side of sides) {
    const before = Date.now();
    outcomes.push(await runGroup(group, side));
    seconds.push(`${side.name} ${Math.round((Date.now() - before) / 1000)} s`);
  }
  console.log(`${group.name}: ${group.cases.length} cases in ${seconds.join(", ")}`);
  group.cases.forEach(({ name }, index) => {
    const [onLinux, peer, ours] = outcomes.map((side) => side[index]);
    const same = isDeepStrictEqual(ours, peer);
    const jailed = !isDeepStrictEqual(peer, onLinux);
    results.push({
      group: group.name,
      name,
      outcome: same ? "same" : "different",
      ...(jailed && { jail: "differs from native" }),
    });
    if (!same) console.log(JSON.stringify({ name, native: onLinux, runc: peer, tine: ours }, undefined, 1));
    else if (jailed) console.log(`the jail shows: ${group.name}: ${name}`);
  });
}
const different = results.filter(({ outcome }) => outcome === "different").length;
if (wanted.length === 0) {
  await writeFile(
    join(repository, "test/differential/results.json"),
    `${JSON.stringify(results, undefined, 1)}\n`,
  );
}
console.log(`${results.length} cases, ${different} different`);
process.exitCode = different === 0 ? 0 : 1;
