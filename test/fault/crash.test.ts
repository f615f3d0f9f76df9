import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage, type TestImage } from "../harness/image.js";
import { repository } from "../harness/paths.js";
import { nothing, remainsOf } from "./remains.js";

/** Of the ids of this file's containers. */
const prefix = `crash-${process.pid}`;

/** What a monitor says when it faults itself; `last guest call` is what the guest was in. */
const report =
  /^tine-vmm\[\d+\]: monitor fault: signal 11 at image\+0x[0-9a-f]+, address 0x10; last guest call \d+, guest registers: (?:\w+ [0-9a-f]+, ){16,}\w+ [0-9a-f]+\n$/;

describe("a monitor that crashes", () => {
  let folder: string;
  let image: TestImage;
  let containerd: PrivateContainerd;
  let ctr: Ctr;

  before(async function () {
    this.timeout(300_000);
    folder = await mkdtemp(join(tmpdir(), "tine-crash-"));
    const source = join(repository, "test/fault/programs/crash.c");
    await check(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", join(folder, "crash"), source]);
    image = await busyboxImage();
    containerd = await PrivateContainerd.start();
    ctr = new Ctr(containerd);
    await ctr.import(image);
  });

  after(async () => {
    await containerd.stop();
    await rm(folder, { recursive: true });
  });

  async function running(script: string): Promise<string> {
    const id = freshId(prefix);
    const output = `file://${join(folder, id)}`;
    await ctr.check(
      ctr.runArguments(image, ["sh", "-c", script], { id, flags: ["--detach", "--log-uri", output] }),
    );
    return id;
  }

  /** The pid that the host knows a container's only process of this name by. */
  async function pidOf(id: string, name: string): Promise<number> {
    for (let tries = 0; tries < 500; tries += 1) {
      const { stdout } = await ctr.check(["task", "ps", id]);
      for (const line of stdout.trim().split("\n").slice(1)) {
        const pid = Number(line.split(/\s+/)[0]);
        const named = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
        if (named === `${name}\n`) return pid;
      }
      await sleep(20);
    }
    throw new Error(`no process ${name} in ${id}`);
  }

  const crash = (pid: number): Promise<unknown> => check([join(folder, "crash"), String(pid)]);
  const bundleOf = (id: string): string =>
    join(containerd.folder, "state/io.containerd.runtime.v2.task/tine-test", id);
  const reportsOf = (id: string): Promise<string> => readFile(join(bundleOf(id), "monitor.log"), "utf8");

  async function stopped(id: string): Promise<void> {
    for (let tries = 0; tries < 1000; tries += 1) {
      const { stdout } = await ctr.check(["task", "ls"]);
      if (new RegExp(`^${id} +\\d+ +STOPPED`, "m").test(stdout)) return;
      await sleep(20);
    }
    throw new Error(`${id} does not stop`);
  }

  /** Deletes a stopped container; gives its status. */
  async function statusOf(id: string): Promise<number> {
    await stopped(id);
    const { stderr } = await ctr.capture(["task", "rm", id]);
    await ctr.check(["containers", "rm", id]);
    return Number(/exit code (\d+)/.exec(stderr)?.[1] ?? "0");
  }

  it("ends its process alone, by SIGSEGV, with one report in the container's log", async () => {
    const id = await running("sleep 1000 & wait $!; echo $?; sh -c 'exit 3'; echo $?; exit 5");
    await crash(await pidOf(id, "sleep"));
    await stopped(id);
    assert.match(await reportsOf(id), report);
    assert.equal(await statusOf(id), 5);
    // The shell may say it too.
    assert.match(await readFile(join(folder, id), "utf8"), /^(?:Segmentation fault\n)?139\n3\n$/);
    assert.deepEqual(await remainsOf(containerd, prefix), nothing);
  });

  it("ends its container where it is the first, and no other", async () => {
    const other = await running("read line < /dev/zero & sleep 1000");
    const id = await running("exec sleep 1001");
    await crash(await pidOf(id, "sleep"));
    await stopped(id);
    assert.match(await reportsOf(id), report);
    assert.equal(await statusOf(id), 139);
    assert.match((await ctr.check(["task", "ls"])).stdout, new RegExp(`^${other} +\\d+ +RUNNING`, "m"));
    await ctr.check(["task", "rm", "--force", other]);
    await ctr.check(["containers", "rm", other]);
    assert.deepEqual(await remainsOf(containerd, prefix), nothing);
  });
});
