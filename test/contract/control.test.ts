import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { packJson, specTypeUrl, typeNameOf, unpack } from "../../shim/proto/any.js";
import { MetricsSchema as MetricsV1 } from "../../shim/proto/gen/cgroups1_pb.js";
import { MetricsSchema as MetricsV2 } from "../../shim/proto/gen/cgroups2_pb.js";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { ProcessDetailsSchema } from "../../shim/proto/gen/runc_pb.js";
import { ContractContainerd, endsWithin, type ContractContainer } from "./client.js";

const MEBIBYTE = 1 << 20;

describe("control of a task", () => {
  let containerd: ContractContainerd;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  async function running(args: string[], options: Partial<Parameters<typeof containerd.container>[0]> = {}) {
    const container = await containerd.container({ args, ...options });
    await container.create();
    await container.start();
    return container;
  }

  it("delivers a signal that the first process handles", async () => {
    const container = await running([
      "sh",
      "-c",
      "trap 'echo caught; exit 6' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    await container.stdout?.including("ready\n");
    const waiting = container.wait();
    await container.kill(15);
    assert.equal((await waiting).exitStatus, 6);
    assert.equal(await container.stdout?.toEnd(), "ready\ncaught\n");
  });

  it("kills every process of the container when asked for all", async () => {
    const container = await running(["sh", "-c", "sleep 601 & sleep 601 & wait"]);
    const waiting = container.wait();
    const { processes } = await atLeast(container, 3);
    await container.kill(9, { all: true });
    assert.equal((await waiting).exitStatus, 137);
    for (const { pid } of processes) {
      assert.equal(await endsWithin(pid, 30_000), true);
    }
  });

  it("ends what is left of a container without a pid namespace when its first process ends", async () => {
    const container = await running(["sh", "-c", "sleep 601 & read line"], {
      change: ({ linux }) => (linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid")),
    });
    const { processes } = await atLeast(container, 2);
    const waiting = container.wait();
    container.stdin?.write("\n");
    await waiting;
    for (const { pid } of processes) {
      assert.equal(await endsWithin(pid, 30_000), true);
    }
  });

  it("lists the pids, those of execs by name", async () => {
    const container = await running(["sleep", "600"], { streams: "none" });
    await container.exec("e1", ["sleep", "600"], { streams: "none" });
    const execPid = await container.start("e1");
    const { pid: initPid } = await container.state();
    const listed = async () => {
      const { processes } = await container.task.pids({ id: container.id });
      return processes.map(({ pid, info }) => [pid, unpack(info, ProcessDetailsSchema)?.execId ?? ""]);
    };
    let found = await listed();
    // A monitor that has just begun has a helper for an instant.
    for (let round = 0; round < 500 && found.length !== 2; round += 1) {
      await sleep(20);
      found = await listed();
    }
    assert.deepEqual(
      found.sort(),
      [
        [initPid, ""],
        [execPid, "e1"],
      ].sort(),
    );
  });

  it("lists nothing once the container has stopped", async () => {
    const container = await running(["sleep", "600"], { streams: "none" });
    await container.kill(9, { all: true });
    await container.wait();
    assert.deepEqual((await container.task.pids({ id: container.id })).processes, []);
  });

  it("freezes and thaws every process, and says so", async () => {
    const container = await running(["sh", "-c", "while :; do echo tick; sleep 0.05; done"]);
    const { id, task } = container;
    await container.stdout?.including("tick\n");
    await task.pause({ id });
    assert.equal((await container.state()).status, Status.PAUSED);
    const length = (): number => container.stdout?.text.length ?? 0;
    // What was written before is read in its own time; then ten ticks are not there.
    let settled = -1;
    for (let round = 0; round < 100 && settled !== length(); round += 1) {
      settled = length();
      await sleep(500);
    }
    assert.equal(length(), settled);
    await task.resume({ id });
    assert.equal((await container.state()).status, Status.RUNNING);
    for (let round = 0; round < 1000 && length() === settled; round += 1) await sleep(20);
    assert.ok(length() > settled);
    await containerd.events.until(id, "/tasks/resumed");
    assert.deepEqual(container.events.slice(2), [
      { topic: "/tasks/paused", event: { containerId: id } },
      { topic: "/tasks/resumed", event: { containerId: id } },
    ]);
  });

  it("measures memory, processor time and processes by the host's kind of control groups", async () => {
    const fill =
      "head -c 8388608 /dev/zero >/tmp/file; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ready; read x";
    const container = await running(["sh", "-c", fill], {
      change: ({ linux }) => (linux.resources["memory"] = { limit: 200 * MEBIBYTE }),
    });
    await container.stdout?.including("ready\n");
    const { stats } = await container.task.stats({ id: container.id });
    assert.ok(stats);
    const hierarchy = (await readFile("/proc/mounts", "utf8")).includes(" /sys/fs/cgroup cgroup2 ")
      ? "v2"
      : "v1";
    assert.equal(stats.typeUrl, typeNameOf(stats));
    if (hierarchy === "v1") {
      const metrics = unpack(stats, MetricsV1);
      assert.ok(metrics);
      assert.equal(metrics.memory?.usage?.limit, BigInt(200 * MEBIBYTE));
      assert.ok(metrics.memory.usage.usage >= BigInt(8 * MEBIBYTE));
      assert.ok((metrics.cpu?.usage?.total ?? 0n) > 1_000_000n);
      assert.ok((metrics.pids?.current ?? 0n) >= 1n);
    } else {
      const metrics = unpack(stats, MetricsV2);
      assert.ok(metrics);
      assert.equal(metrics.memory?.usageLimit, BigInt(200 * MEBIBYTE));
      assert.ok(metrics.memory.usage >= BigInt(8 * MEBIBYTE));
      assert.ok((metrics.cpu?.usageUsec ?? 0n) > 1000n);
      assert.ok((metrics.pids?.current ?? 0n) >= 1n);
    }
  });

  it("changes the limits of what runs", async () => {
    const container = await running(["sleep", "600"], { streams: "none" });
    const { id, task } = container;
    const resources = packJson(specTypeUrl.linuxResources, { memory: { limit: 123 * MEBIBYTE } });
    await task.update({ id, resources });
    const { stats } = await task.stats({ id });
    const limits = [
      unpack(stats, MetricsV1)?.memory?.usage?.limit,
      unpack(stats, MetricsV2)?.memory?.usageLimit,
    ];
    assert.ok(limits.includes(BigInt(123 * MEBIBYTE)), limits.join());
  });

  it("tells when the kernel kills for lack of memory, before the exit", async () => {
    const container = await running(["sh", "-c", "x=a; while :; do x=$x$x; done"], {
      streams: "none",
      change: ({ linux }) => (linux.resources["memory"] = { limit: 32 * MEBIBYTE, swap: 32 * MEBIBYTE }),
    });
    assert.equal((await container.wait()).exitStatus, 137);
    await containerd.events.until(container.id, "/tasks/oom");
    await containerd.events.until(container.id, "/tasks/exit");
    assert.equal(container.topics.filter((topic) => topic === "/tasks/oom").length >= 1, true);
  });
});

/** Waits until a container has that many processes. */
async function atLeast(container: ContractContainer, count: number) {
  for (let round = 0; round < 1500; round += 1) {
    const answer = await container.task.pids({ id: container.id });
    if (answer.processes.length >= count) {
      return answer;
    }
    await sleep(20);
  }
  throw new Error(`fewer than ${count} processes`);
}
