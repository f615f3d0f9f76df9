import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { DeleteResponseSchema, Task } from "../../shim/proto/gen/task_pb.js";
import { serviceClient } from "../../shim/proto/service.js";
import { StatusCode, TtrpcClient } from "../../shim/ttrpc/index.js";
import { ContractContainerd, endsWithin, isAlive, mountsBelow, type ContractContainer } from "./client.js";

describe("the shim's daemon", () => {
  let containerd: ContractContainerd;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  async function running(args: string[] = ["sleep", "600"]): Promise<ContractContainer> {
    const container = await containerd.container({ args, streams: "none" });
    await container.create();
    await container.start();
    return container;
  }

  const shimPid = async ({ task, id }: ContractContainer): Promise<number> =>
    (await task.connect({ id })).shimPid;

  it("serves every container of the namespace, and those of a pod apart", async () => {
    const [one, two] = [await running(), await running()];
    const inPod = await containerd.container({
      args: ["true"],
      change: ({ annotations }) => (annotations["io.kubernetes.cri.sandbox-id"] = "sandbox"),
    });
    assert.equal(await shimPid(one), await shimPid(two));
    assert.notEqual(await shimPid(one), await shimPid(inPod));
  });

  it("writes its address where containerd finds it after a restart", async () => {
    const container = await running();
    assert.equal(await readFile(join(container.bundle, "address"), "utf8"), container.address);
  });

  it("outlives its connections, and serves new ones", async () => {
    const container = await containerd.container({ args: ["sh", "-c", "read line; exit 8"] });
    await container.create();
    await container.start();
    const { id, address } = container;
    const lost = container.wait();
    lost.catch(() => undefined);
    container.connection.close();
    await assert.rejects(lost, { code: StatusCode.Unavailable });
    using connection = await TtrpcClient.connect(address.slice("unix://".length));
    const task = serviceClient(Task, connection);
    const { taskPid } = await task.connect({ id });
    assert.equal(await isAlive(taskPid), true);
    assert.equal((await task.pids({ id })).processes.length >= 1, true);
    container.stdin?.write("\n");
    assert.equal((await task.wait({ id })).exitStatus, 8);
    assert.deepEqual((await task.delete({ id })).pid, taskPid);
  });

  it("stays on Shutdown while there are containers, even with now", async () => {
    const container = await running();
    const { task, id } = container;
    const pid = await shimPid(container);
    await task.shutdown({ id });
    await task.shutdown({ id, now: true });
    await sleep(200);
    assert.equal(await isAlive(pid), true);
    assert.equal((await container.state()).status, Status.RUNNING);
  });

  it("leaves on Shutdown with now when none remain, and takes its socket along", async () => {
    const container = await running();
    const pid = await shimPid(container);
    const waiting = container.wait();
    await container.kill(9);
    await waiting;
    await container.delete();
    await container.task.shutdown({ id: container.id, now: true });
    assert.equal(await endsWithin(pid, 30_000), true);
    await assert.rejects(access(container.address.slice("unix://".length)), { code: "ENOENT" });
  });

  it("repeats an event that containerd did not take, and keeps the order", async () => {
    containerd.events.refuse = 2;
    const container = await containerd.container({ args: ["true"], streams: "none" });
    await container.create();
    const waiting = container.wait();
    await container.start();
    await waiting;
    await container.delete();
    await containerd.events.until(container.id, "/tasks/delete", 1, 60_000);
    assert.deepEqual(container.topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
  });

  describe("killed", () => {
    let containers: ContractContainer[];
    let pids: number[];

    beforeEach(async () => {
      containers = [await running(), await running()];
      pids = [];
      for (const { task, id } of containers) {
        pids.push((await task.connect({ id })).taskPid);
      }
      const [one] = containers;
      assert.ok(one);
      const daemon = await shimPid(one);
      process.kill(daemon, "SIGKILL");
      assert.equal(await endsWithin(daemon, 30_000), true);
    });

    it("leaves containers that `delete` ends one by one, answering as containerd reads it", async () => {
      for (const [index, { id, bundle }] of containers.entries()) {
        const before = Date.now();
        const { status, answer } = containerd.runDelete(id);
        const response = fromBinary(DeleteResponseSchema, answer);
        assert.deepEqual([status, response.exitStatus], [0, 137]);
        assert.ok(response.exitedAt);
        assert.ok(Math.abs(timestampDate(response.exitedAt).getTime() - before) < 60_000);
        assert.equal(await endsWithin(pids[index] ?? 0, 30_000), true);
        assert.deepEqual(await mountsBelow(bundle), []);
      }
    });

    it("is replaced by the next start, where its socket still lies", async () => {
      const next = await running();
      assert.equal((await next.state()).status, Status.RUNNING);
      assert.equal(next.address, containers[0]?.address);
      for (const { id } of containers) {
        containerd.runDelete(id);
      }
      assert.equal((await next.state()).status, Status.RUNNING);
    });
  });

  it("is left alone by `delete` of one container, the others go on", async () => {
    const [one, two] = [await running(), await running()];
    const pid = await shimPid(one);
    const { status, answer } = containerd.runDelete(one.id);
    assert.deepEqual([status, fromBinary(DeleteResponseSchema, answer).exitStatus], [0, 137]);
    assert.equal(await shimPid(two), pid);
    assert.equal((await two.state()).status, Status.RUNNING);
    await assert.rejects(one.state(), { code: StatusCode.NotFound });
  });

  it("answers `delete` of a container that was deleted in order", async () => {
    const container = await running();
    const waiting = container.wait();
    await container.kill(9);
    await waiting;
    await container.delete();
    const { status, answer } = containerd.runDelete(container.id);
    assert.deepEqual([status, fromBinary(DeleteResponseSchema, answer).exitStatus], [0, 137]);
  });
});
