import assert from "node:assert/strict";
import { packJson, specTypeUrl } from "../../shim/proto/any.js";
import { StatusCode, TtrpcError } from "../../shim/ttrpc/index.js";
import { processSpecification } from "./bundle.js";
import { ContractContainerd, foreign, mountsBelow, type ContractContainer } from "./client.js";

/** The code a call fails with. */
async function codeOf(call: Promise<unknown>): Promise<number | "success"> {
  try {
    await call;
    return "success";
  } catch (error) {
    if (error instanceof TtrpcError) {
      return error.code;
    }
    throw error;
  }
}

async function codesOf(calls: Record<string, Promise<unknown>>): Promise<Record<string, number | "success">> {
  const entries = Object.entries(calls).map(async ([name, call]) => [name, await codeOf(call)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function running(containerd: ContractContainerd, args: string[]): Promise<ContractContainer> {
  const container = await containerd.container({ args, streams: "none" });
  await container.create();
  await container.start();
  return container;
}

describe("a task's errors", () => {
  let containerd: ContractContainerd;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  it("are NotFound for a container the shim does not know, whatever is asked", async () => {
    const { task, id } = await containerd.container({ args: ["true"], streams: "none" });
    const resources = packJson(specTypeUrl.linuxResources, {});
    const spec = packJson(specTypeUrl.process, processSpecification(["true"]));
    const calls: Record<string, Promise<unknown>> = {
      state: task.state({ id }),
      start: task.start({ id }),
      delete: task.delete({ id }),
      pids: task.pids({ id }),
      pause: task.pause({ id }),
      resume: task.resume({ id }),
      kill: task.kill({ id, signal: 9 }),
      exec: task.exec({ id, execId: "e", spec }),
      resizePty: task.resizePty({ id }),
      closeIO: task.closeIO({ id, stdin: true }),
      update: task.update({ id, resources }),
      wait: task.wait({ id }),
      stats: task.stats({ id }),
    };
    assert.deepEqual(
      await codesOf(calls),
      Object.fromEntries(Object.keys(calls).map((name) => [name, StatusCode.NotFound])),
    );
  });

  it("do not include Connect to a container the shim does not know, which has pid 0", async () => {
    const { task } = await containerd.container({ args: ["true"], streams: "none" });
    const { shimPid, taskPid } = await task.connect({ id: "unknown" });
    assert.ok(shimPid > 0);
    assert.equal(taskPid, 0);
  });

  it("are NotFound for an exec the container does not have", async () => {
    const { task, id } = await running(containerd, ["sleep", "600"]);
    const execId = "none";
    const calls = {
      state: task.state({ id, execId }),
      start: task.start({ id, execId }),
      delete: task.delete({ id, execId }),
      kill: task.kill({ id, execId, signal: 9 }),
      resizePty: task.resizePty({ id, execId }),
      wait: task.wait({ id, execId }),
      // runc's shim answers Unknown to this one.
      ...(foreign ? {} : { closeIO: task.closeIO({ id, execId, stdin: true }) }),
    };
    assert.deepEqual(
      await codesOf(calls),
      Object.fromEntries(Object.keys(calls).map((name) => [name, StatusCode.NotFound])),
    );
  });

  it("are Unimplemented for what is not served", async () => {
    const { connection } = await containerd.container({ args: ["true"], streams: "none" });
    const call = (service: string, method: string) =>
      codeOf(connection.call(service, method, new Uint8Array(0)));
    assert.deepEqual(
      await Promise.all([
        call("containerd.task.v2.Task", "Fork"),
        call("containerd.task.v9.Task", "State"),
        call("containerd.runtime.sandbox.v1.Sandbox", "Platform"),
      ]),
      [StatusCode.Unimplemented, StatusCode.Unimplemented, StatusCode.Unimplemented],
    );
  });

  it("fail Create of a missing program with the words docker looks for, and leave nothing", async () => {
    for (const [args, words] of [
      [["nonesuch"], /executable file not found in \$PATH/],
      [["/bin/nonesuch"], /no such file or directory/],
      [["/etc/passwd"], /permission denied/],
      [["/tmp"], /permission denied|is a directory/],
    ] as const) {
      const container = await containerd.container({ args, streams: "none" });
      await assert.rejects(container.create(), { name: "TtrpcError", message: words });
      assert.deepEqual(await mountsBelow(container.bundle), []);
      assert.deepEqual(container.topics, []);
    }
  });

  it("fail Start of an exec of a missing program, release its Wait and let it be deleted", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    for (const [execId, program, words] of [
      ["e1", "nonesuch", /executable file not found in \$PATH/],
      ["e2", "/bin/nonesuch", /no such file or directory/],
      ["e3", "/etc/passwd", /permission denied/],
    ] as const) {
      await container.exec(execId, [program], { streams: "none" });
      const waiting = container.wait(execId);
      await assert.rejects(container.start(execId), { name: "TtrpcError", message: words });
      await waiting;
      await container.delete(execId);
      assert.equal(await codeOf(container.state(execId)), StatusCode.NotFound);
    }
  });

  it("refuse Delete while it runs and Start when it runs", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    await container.exec("e", ["sleep", "600"], { streams: "none" });
    await container.start("e");
    for (const call of [container.delete(), container.delete("e"), container.start(), container.start("e")]) {
      const code = await codeOf(call);
      assert.ok(code === StatusCode.Unknown || code === StatusCode.FailedPrecondition, `code ${code}`);
    }
    assert.equal((await container.state()).status, 2);
    assert.equal((await container.state("e")).status, 2);
  });

  it("refuse to create a container again that is there", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    assert.notEqual(await codeOf(container.create()), "success");
    assert.equal((await container.state()).status, 2);
  });

  it("are AlreadyExists for an exec of the same name", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    await container.exec("e", ["true"], { streams: "none" });
    assert.equal(await codeOf(container.exec("e", ["true"], { streams: "none" })), StatusCode.AlreadyExists);
  });

  it("are NotFound for a signal to a process that has exited", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    await container.exec("e", ["true"], { streams: "none" });
    const waiting = container.wait("e");
    await container.start("e");
    await waiting;
    assert.equal(await codeOf(container.kill(9, { execId: "e" })), StatusCode.NotFound);
    const ended = container.wait();
    await container.kill(9);
    await ended;
    assert.equal(await codeOf(container.kill(9)), StatusCode.NotFound);
  });

  it("are FailedPrecondition for a signal to an exec that was never started", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    await container.exec("e", ["true"], { streams: "none" });
    assert.equal(await codeOf(container.kill(9, { execId: "e" })), StatusCode.FailedPrecondition);
  });

  it("refuse execs after the first process's exit", async () => {
    const container = await running(containerd, ["sleep", "600"]);
    await container.exec("before", ["true"], { streams: "none" });
    const ended = container.wait();
    await container.kill(9);
    await ended;
    assert.equal(
      await codeOf(container.exec("after", ["true"], { streams: "none" })),
      foreign ? StatusCode.Unknown : StatusCode.FailedPrecondition,
    );
    assert.notEqual(await codeOf(container.start("before")), "success");
  });

  it("refuse Resume of what is not paused and Pause of what is not running", async () => {
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none" });
    await container.create();
    const { task, id } = container;
    assert.notEqual(await codeOf(task.pause({ id })), "success");
    await container.start();
    assert.notEqual(await codeOf(task.resume({ id })), "success");
    await task.pause({ id });
    assert.notEqual(await codeOf(task.pause({ id })), "success");
    await task.resume({ id });
    assert.equal((await container.state()).status, 2);
  });

  it("fail Create of a bundle without a readable config.json", async () => {
    const container = await containerd.container({ args: ["true"], streams: "none" });
    const { task, bundle, id } = container;
    assert.notEqual(await codeOf(task.create({ id, bundle: `${bundle}/none` })), "success");
    assert.equal(await codeOf(container.state()), StatusCode.NotFound);
  });

  it("is Unimplemented for Checkpoint, and for Create from one", async () => {
    if (foreign) {
      return;
    }
    const { task, id, bundle } = await running(containerd, ["sleep", "600"]);
    assert.equal(await codeOf(task.checkpoint({ id, path: "/tmp/none" })), StatusCode.Unimplemented);
    assert.equal(
      await codeOf(task.create({ id: "other", bundle, checkpoint: "/tmp/none" })),
      StatusCode.Unimplemented,
    );
  });
});
