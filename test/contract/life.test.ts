import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { StateResponseSchema } from "../../shim/proto/gen/task_pb.js";
import { StatusCode } from "../../shim/ttrpc/index.js";
import { ContractContainerd, fieldsOf, foreign, isAlive, mountsBelow } from "./client.js";

const bareNames: Record<string, string> = {
  "/tasks/create": "containerd.events.TaskCreate",
  "/tasks/start": "containerd.events.TaskStart",
  "/tasks/exit": "containerd.events.TaskExit",
  "/tasks/delete": "containerd.events.TaskDelete",
};

describe("a task's life", () => {
  for (const version of [2, 3] as const) {
    it(`goes from Create to Delete, with its events in order (Task service, version ${version})`, async () => {
      if (version === 3 && foreign) {
        // Debian's runc shim serves version 2 alone.
        return;
      }
      await using containerd = await ContractContainerd.start();
      const container = await containerd.container({ args: ["sh", "-c", "read line; exit 3"], version });
      const { id, bundle, streams } = container;

      const pid = await container.create();
      assert.equal(await isAlive(pid), true);
      const common = { id, bundle, pid, ...streams };
      assert.deepEqual(
        await container.state(),
        create(StateResponseSchema, { ...common, status: Status.CREATED }),
      );

      const waiting = container.wait();
      assert.equal(await container.start(), pid);
      assert.deepEqual(
        await container.state(),
        create(StateResponseSchema, { ...common, status: Status.RUNNING }),
      );

      const before = Date.now();
      container.stdin?.write("go\n");
      const exit = await waiting;
      assert.equal(exit.exitStatus, 3);
      assert.ok(exit.exitedAt);
      const exitedAt = timestampDate(exit.exitedAt).getTime();
      assert.ok(exitedAt >= before - 1000 && exitedAt <= Date.now() + 1000, `exited at ${exitedAt}`);
      assert.equal(await isAlive(pid), false);
      const ended = { exitStatus: 3, exitedAt: exit.exitedAt };
      assert.deepEqual(
        await container.state(),
        create(StateResponseSchema, { ...common, status: Status.STOPPED, ...ended }),
      );
      assert.deepEqual(await container.wait(), exit);

      assert.deepEqual(fieldsOf(await container.delete()), { pid, ...ended });
      await assert.rejects(container.state(), { code: StatusCode.NotFound });

      await containerd.events.until(id, "/tasks/delete");
      const rootfs = containerd.events.of(id)[0]?.event as unknown as { rootfs: object[] };
      assert.equal(rootfs.rootfs.length, 1);
      const io = { $typeName: "containerd.events.TaskIO", ...streams, terminal: false };
      assert.deepEqual(container.events, [
        {
          topic: "/tasks/create",
          event: { containerId: id, bundle, rootfs: rootfs.rootfs, io, checkpoint: "", pid },
        },
        { topic: "/tasks/start", event: { containerId: id, pid } },
        { topic: "/tasks/exit", event: { containerId: id, id, pid, ...ended } },
        { topic: "/tasks/delete", event: { containerId: id, id: "", pid, ...ended } },
      ]);
      for (const { topic, typeUrl, namespace, timestamp } of containerd.events.of(id)) {
        assert.equal(typeUrl, bareNames[topic]);
        assert.equal(namespace, containerd.namespace);
        assert.ok(timestamp !== undefined && Math.abs(timestamp.getTime() - Date.now()) < 60_000);
      }
      assert.deepEqual(await mountsBelow(bundle), []);
    });
  }

  it("ends with 128 and the signal's number when a signal ends it", async () => {
    await using containerd = await ContractContainerd.start();
    for (const [signal, status] of [
      [9, 137],
      [15, 143],
      [1, 129],
    ] as const) {
      const container = await containerd.container({
        args: ["sleep", "600"],
        // The first process of a pid namespace gets no signal that it does not handle.
        change: ({ linux }) => (linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid")),
      });
      await container.create();
      const waiting = container.wait();
      await container.start();
      await container.kill(signal);
      assert.equal((await waiting).exitStatus, status);
      await container.delete();
    }
  });

  it("publishes start before exit for processes that die at once", async () => {
    await using containerd = await ContractContainerd.start();
    const containers = await Promise.all(
      Array.from({ length: 8 }, () => containerd.container({ args: ["true"], streams: "none" })),
    );
    await Promise.all(
      containers.map(async (container) => {
        await container.create();
        const waiting = container.wait();
        await container.start();
        assert.equal((await waiting).exitStatus, 0);
        await container.delete();
        await containerd.events.until(container.id, "/tasks/delete");
        assert.deepEqual(container.topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
      }),
    );
  });

  it("lets Wait calls block without holding up others", async () => {
    await using containerd = await ContractContainerd.start();
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none" });
    await container.create();
    await container.start();
    const waits = Array.from({ length: 50 }, () => container.wait());
    assert.equal((await container.state()).status, Status.RUNNING);
    await container.kill(9);
    const answers = await Promise.all(waits);
    assert.deepEqual(
      answers.map(({ exitStatus }) => exitStatus),
      answers.map(() => 137),
    );
  });

  it("is over after Delete of a task that was created and killed, never started", async () => {
    await using containerd = await ContractContainerd.start();
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none" });
    const pid = await container.create();
    await container.kill(9);
    await container.wait();
    await container.delete();
    assert.equal(await isAlive(pid), false);
    await assert.rejects(container.state(), { code: StatusCode.NotFound });
  });

  it("keeps one container's end from others of the same shim", async () => {
    await using containerd = await ContractContainerd.start();
    const lasting = await containerd.container({ args: ["cat"] });
    await lasting.create();
    await lasting.start();
    for (let round = 0; round < 3; round += 1) {
      assert.equal((await containerd.run({ args: ["false"] })).status, 1);
    }
    lasting.stdin?.write("still here\n");
    await lasting.stdout?.including("still here\n");
  });
});
