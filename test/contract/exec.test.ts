import assert from "node:assert/strict";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { StatusCode } from "../../shim/ttrpc/index.js";
import { ContractContainerd, fieldsOf, foreign, isAlive, type ContractContainer } from "./client.js";

describe("an exec", () => {
  let containerd: ContractContainerd;
  let container: ContractContainer;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
    container = await containerd.container({ args: ["sleep", "600"], streams: "none" });
    await container.create();
    await container.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  it("goes from Exec to Delete, with its events in order and its own streams", async () => {
    const { id } = container;
    const { streams, stdin, stdout, stderr } = await container.exec("e1", [
      ...["sh", "-c", "cat; echo problem >&2; exit 4"],
    ]);
    const registered = await container.state("e1");
    assert.deepEqual(
      [registered.status, registered.pid, registered.stdout],
      [Status.CREATED, 0, streams.stdout],
    );
    // runc's shim gives the exec's name as the id.
    assert.deepEqual([registered.id, registered.execId], foreign ? ["e1", ""] : [id, "e1"]);
    const waiting = container.wait("e1");
    const pid = await container.start("e1");
    assert.equal(await isAlive(pid), true);
    assert.equal((await container.state("e1")).status, Status.RUNNING);
    stdin?.write("through\n");
    await stdout?.including("through\n");
    stdin?.close();
    await container.task.closeIO({ id, execId: "e1", stdin: true });
    const exit = await waiting;
    assert.equal(exit.exitStatus, 4);
    assert.deepEqual([await stdout?.toEnd(), await stderr?.toEnd()], ["through\n", "problem\n"]);
    const stopped = await container.state("e1");
    assert.deepEqual([stopped.status, stopped.exitStatus, stopped.pid], [Status.STOPPED, 4, pid]);
    assert.deepEqual(fieldsOf(await container.delete("e1")), { pid, exitStatus: 4, exitedAt: exit.exitedAt });
    await assert.rejects(container.state("e1"), { code: StatusCode.NotFound });

    await containerd.events.until(id, "/tasks/exit");
    // No /tasks/delete: that is the first process's alone.
    assert.deepEqual(container.events.slice(2), [
      { topic: "/tasks/exec-added", event: { containerId: id, execId: "e1" } },
      { topic: "/tasks/exec-started", event: { containerId: id, execId: "e1", pid } },
      {
        topic: "/tasks/exit",
        event: { containerId: id, id: "e1", pid, exitStatus: 4, exitedAt: exit.exitedAt },
      },
    ]);
    assert.equal((await container.state()).status, Status.RUNNING);
  });

  it("runs beside others, each with its own status", async () => {
    const names = Array.from({ length: 10 }, (_, index) => `e${index}`);
    const statuses = await Promise.all(
      names.map(async (name, index) => {
        const { stdout } = await container.exec(name, ["sh", "-c", `echo ${name}; exit ${index}`]);
        const waiting = container.wait(name);
        await container.start(name);
        const { exitStatus } = await waiting;
        assert.equal(await stdout?.toEnd(), `${name}\n`);
        await container.delete(name);
        return exitStatus;
      }),
    );
    assert.deepEqual(
      statuses,
      names.map((_, index) => index),
    );
    await containerd.events.until(container.id, "/tasks/exit", 10);
    for (const name of names) {
      const own = container.events.filter(({ event }) => {
        const { execId, id } = event as { execId?: string; id?: string };
        return execId === name || id === name;
      });
      assert.deepEqual(
        own.map(({ topic }) => topic),
        ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"],
      );
    }
  });

  it("has the user, directory and environment of its own specification", async () => {
    const { stdout } = await container.exec("e", ["sh", "-c", "id -u; id -g; pwd; echo $COLOUR"], {
      change: (process) => {
        process.user = { uid: 65534, gid: 65534 };
        process.cwd = "/tmp";
        process.env.push("COLOUR=green");
      },
    });
    const waiting = container.wait("e");
    await container.start("e");
    assert.equal((await waiting).exitStatus, 0);
    assert.equal(await stdout?.toEnd(), "65534\n65534\n/tmp\ngreen\n");
  });

  it("is ended by the signal sent to it alone", async () => {
    await container.exec("e", ["sleep", "600"], { streams: "none" });
    const waiting = container.wait("e");
    await container.start("e");
    await container.kill(15, { execId: "e" });
    assert.equal((await waiting).exitStatus, 143);
    assert.equal((await container.state()).status, Status.RUNNING);
  });

  it("is over before the first process's exit is told, when that ends", async () => {
    for (const name of ["e1", "e2"]) {
      await container.exec(name, ["sleep", "600"], { streams: "none" });
      await container.start(name);
    }
    const waits = [container.wait("e1"), container.wait("e2"), container.wait()];
    await container.kill(9);
    assert.deepEqual(
      (await Promise.all(waits)).map(({ exitStatus }) => exitStatus),
      [137, 137, 137],
    );
    await containerd.events.until(container.id, "/tasks/exit", 3);
    const exits = container.events.filter(({ topic }) => topic === "/tasks/exit");
    const names = exits.map(({ event }) => (event as { id: string }).id);
    assert.deepEqual([...names.slice(0, 2).sort(), names[2]], ["e1", "e2", container.id]);
  });

  it("can be deleted without ever being started", async () => {
    await container.exec("e", ["true"], { streams: "none" });
    await container.delete("e");
    await assert.rejects(container.state("e"), { code: StatusCode.NotFound });
  });

  it("makes its name free again by Delete", async () => {
    for (const status of [1, 2]) {
      await container.exec("e", ["sh", "-c", `exit ${status}`], { streams: "none" });
      const waiting = container.wait("e");
      await container.start("e");
      assert.equal((await waiting).exitStatus, status);
      await container.delete("e");
    }
  });
});
