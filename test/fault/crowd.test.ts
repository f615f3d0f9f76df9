import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { nothing, remainsOf } from "./remains.js";

describe("fifty containers of eight clients at once", () => {
  const prefix = `crowd-${process.pid}`;

  it("all give their output and status, and leave nothing, nor a descriptor of the daemon", async function () {
    this.timeout(600_000);
    await using containerd = await PrivateContainerd.start();
    const ctr = new Ctr(containerd);
    const image = await busyboxImage();
    await ctr.import(image);

    const crowd = async (count: number): Promise<void> => {
      const numbers = Array.from({ length: count }, (_, index) => index);
      const results: [number, number, string, string][] = [];
      const client = async (): Promise<void> => {
        for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
          const script = `(exit ${number}) & wait $!; echo ${number} $?; exit ${number}`;
          const run = { id: freshId(prefix), limit: 240_000 };
          const { status, stdout, stderr } = await ctr.run(image, ["sh", "-c", script], run);
          results.push([number, status, stdout, stderr]);
        }
      };
      await Promise.all(Array.from({ length: 8 }, client));
      const expected = Array.from({ length: count }, (_, n) => [n, n, `${n} ${n}\n`, ""]);
      assert.deepEqual(
        results.sort(([a], [b]) => a - b),
        expected,
      );
    };

    // One container that stays keeps the daemon, whose descriptors are counted.
    const stays = ctr.runArguments(image, ["sleep", "1000"], { id: freshId("stays"), flags: ["--detach"] });
    await ctr.check(stays);
    await crowd(8);
    const [shim] = await containerd.shims();
    assert.ok(shim);
    const before = await descriptors(shim);
    await crowd(50);
    assert.deepEqual(await remainsOf(containerd, prefix), nothing);
    assert.deepEqual(await containerd.shims(), [shim]);
    // The last client's connections are closed in their own time.
    let after = await descriptors(shim);
    for (let round = 0; round < 100 && after > before + 4; round += 1) {
      await sleep(100);
      after = await descriptors(shim);
    }
    assert.ok(after <= before + 4, `${before} descriptors before, ${after} after`);
  });
});

/** How many the daemon has open. */
async function descriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}
