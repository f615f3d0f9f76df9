import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processGroups } from "../../runtime/resources/groups.js";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { check } from "../harness/command.js";
import { repository } from "../harness/paths.js";
import type { Specification } from "./bundle.js";
import { ContractContainerd, endsWithin, type ContractContainer } from "./client.js";

const MEBIBYTE = 1 << 20;

describe("a container that forks as much as it may", function () {
  this.timeout(60_000);
  let containerd: ContractContainerd;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-forks-"));
    await chmod(folder, 0o755);
    const [source, library] = ["test/contract/programs/forks.c", "test/guest/lib"];
    const flags = ["-O2", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-static"];
    const output = join(folder, "forks");
    await check(["gcc", ...flags, `-I${join(repository, library)}`, "-o", output, join(repository, source)]);
  });

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  after(() => rm(folder, { recursive: true, force: true }));

  /** Bounds to a container's resources, and the folder of the test's programs in it. */
  function within(resources: Record<string, unknown>) {
    return ({ linux, mounts }: Specification): void => {
      Object.assign(linux.resources, resources);
      mounts.push({ destination: "/mnt", type: "bind", source: folder, options: ["rbind", "ro"] });
    };
  }

  for (const strategy of ["cow", "region-copy"]) {
    const annotated = (contents: Specification): void => {
      contents.annotations["io.tine.fork"] = strategy;
    };

    it(`meets its limit of processes as on Linux: ${strategy}`, async () => {
      const change = (contents: Specification): void => {
        within({ pids: { limit: 32 } })(contents);
        annotated(contents);
      };
      assert.deepEqual(await containerd.run({ args: ["/mnt/forks", "crowd"], change }), {
        status: 0,
        stdout: [
          "ok a fork at the limit is refused",
          "ok and many were made before",
          "ok so are those that follow",
          "ok its memory is as it was",
          "ok nobody has ended",
          "ok nobody else is there to wait for",
          "ok and there is room again",
          "",
        ].join("\n"),
        stderr: "",
      });
    });

    it(`meets its limit of memory as on Linux: ${strategy}`, async () => {
      const limit = 160 * MEBIBYTE;
      const change = (contents: Specification): void => {
        within({ memory: { limit, swap: limit } })(contents);
        annotated(contents);
      };
      assert.deepEqual(await containerd.run({ args: ["/mnt/forks", "heap"], change }), {
        status: 0,
        stdout: [
          "ok a child that takes too much is killed",
          "ok its parent's memory is as it was",
          "ok nobody else is there to wait for",
          "ok and there is room again",
          "",
        ].join("\n"),
        stderr: "",
      });
    });
  }

  it("lets an exec begin that finds it full, and keeps its limit", async () => {
    const change = within({ pids: { limit: 32 } });
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none", change });
    const init = await container.create();
    await container.start();
    const groups = processGroups(init);
    const group = groups.get("pids") ?? groups.get("") ?? "";
    const full = await readFile(`${group}/pids.current`, "utf8");
    await writeFile(`${group}/pids.max`, full);
    // runc itself needs room for its own stages, and fails now and then where there is none at all, whatever comes after it.
    const ownFailure = /read init-p: connection reset by peer/;
    for (let tried = 0, begun = false; !begun; tried++) {
      const id = `e${String(tried)}`;
      const streams = await container.exec(id, ["echo", "begun"]);
      try {
        await container.start(id);
        begun = true;
      } catch (error) {
        assert(tried < 20 && error instanceof Error && ownFailure.test(error.message), error as Error);
        continue;
      }
      assert.equal((await container.wait(id)).exitStatus, 0);
      assert.equal(await streams.stdout?.toEnd(), "begun\n");
    }
    assert.equal(await readFile(`${group}/pids.max`, "utf8"), full);
  });

  it("lets an exec begin at once whose program has the name of a descriptor, or of runc", async () => {
    for (const name of ["7", "runc"]) {
      await writeFile(join(folder, name), "#!/bin/sh\nsleep 600\n", { mode: 0o755 });
    }
    const change = within({ pids: { limit: 12 } });
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none", change });
    const init = await container.create();
    await container.start();
    const groups = processGroups(init);
    const group = groups.get("pids") ?? groups.get("") ?? "";
    const limit = await readFile(`${group}/pids.max`, "utf8");
    for (const name of ["7", "runc"]) {
      await container.exec(name, [`/mnt/${name}`], { streams: "none" });
      const before = performance.now();
      await container.start(name);
      const milliseconds = performance.now() - before;
      // Who is not known to have begun is waited for for 5 s.
      assert.ok(milliseconds < 4500, `${name} took ${String(milliseconds)} ms`);
      assert.equal(await readFile(`${group}/pids.max`, "utf8"), limit);
    }
  });

  it("is paused, resumed and killed, and nothing of it is left", async () => {
    const change = within({ pids: { limit: 32 } });
    const container = await containerd.container({ args: ["/mnt/forks", "bomb"], streams: "none", change });
    const init = await container.create();
    await container.start();
    await crowded(container, 16);
    await container.task.pause({ id: container.id });
    assert.equal((await container.state()).status, Status.PAUSED);
    const still = await clocks(container);
    await sleep(100);
    assert.deepEqual(await clocks(container), still);
    await container.task.resume({ id: container.id });
    assert.equal((await container.state()).status, Status.RUNNING);
    const processes = (await crowded(container, 16)).map(({ pid }) => pid);
    const waiting = container.wait();
    await container.kill(9, { all: true });
    assert.equal((await waiting).exitStatus, 137);
    for (const pid of [init, ...processes]) assert.equal(await endsWithin(pid, 5000), true);
  });
});

/** The processes of a container once there are that many of them. */
async function crowded(container: ContractContainer, count: number): Promise<{ pid: number }[]> {
  for (;;) {
    const { processes } = await container.task.pids({ id: container.id });
    if (processes.length >= count) return processes;
    await sleep(20);
  }
}

/** The processes of a container, and the processor time that each has used. */
async function clocks(container: ContractContainer): Promise<(readonly [number, string])[]> {
  const { processes } = await container.task.pids({ id: container.id });
  const used = processes.map(async ({ pid }) => {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return [pid, stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14).join(" ")] as const;
  });
  return Promise.all(used);
}
