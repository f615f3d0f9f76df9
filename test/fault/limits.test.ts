import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage, type TestImage } from "../harness/image.js";
import { nothing, remainsOf } from "./remains.js";

/** Of the ids of this file's containers. */
const prefix = `limits-${process.pid}`;

describe("with the daemon's descriptors used up", () => {
  let image: TestImage;
  let containerd: PrivateContainerd;
  let ctr: Ctr;

  before(async function () {
    this.timeout(300_000);
    image = await busyboxImage();
    containerd = await PrivateContainerd.start();
    ctr = new Ctr(containerd);
    await ctr.import(image);
  });

  after(() => containerd.stop());

  /** Leaves the daemon room for `more` descriptors above the highest that it has; none given: as many as it may have. */
  async function leaveRoomFor(more?: number): Promise<void> {
    const [shim] = await containerd.shims();
    assert.ok(shim);
    const highest = Math.max(...(await readdir(`/proc/${shim}/fd`)).map(Number));
    const soft = more === undefined ? 4096 : highest + 1 + more;
    await check(["prlimit", `--pid=${shim}`, `--nofile=${soft}:`]);
  }

  it("containers fail with the reason, others go on, nothing is left, and room makes it work again", async () => {
    const other = freshId(prefix);
    const flags = ["--detach", "--null-io"];
    await ctr.check(ctr.runArguments(image, ["sleep", "1000"], { id: other, flags }));
    const reasons = new Set<string>();
    let running = true;
    try {
      for (const more of [0, 2, 4, 6, 9, 13]) {
        await leaveRoomFor(more);
        const { status, stderr } = await ctr.run(image, ["true"], { id: freshId(prefix) });
        // What it lacks a descriptor for differs; that it says so does not.
        if (status !== 0) reasons.add(/EMFILE|too many open files/i.test(stderr) ? "EMFILE" : stderr);
        const { stdout } = await ctr.check(["task", "ls"]);
        running &&= new RegExp(`${other}\\s+\\d+\\s+RUNNING`).test(stdout);
      }
    } finally {
      await leaveRoomFor();
    }
    assert.deepEqual([[...reasons], running], [["EMFILE"], true]);
    assert.equal((await ctr.run(image, ["true"], { id: freshId(prefix) })).status, 0);
    await ctr.check(["task", "rm", "--force", other]);
    const left = (await ctr.check(["containers", "ls", "--quiet"])).stdout
      .split("\n")
      .filter((id) => id !== "");
    if (left.length > 0) await ctr.check(["containers", "rm", ...left]);
    assert.deepEqual(await remainsOf(containerd, prefix), nothing);
  });
});
