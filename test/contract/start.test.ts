import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { ContractContainerd, foreign, isAlive, type ContractContainer } from "./client.js";

/** A container with a folder of the host at /work. */
async function withFolder(
  containerd: ContractContainerd,
  args: readonly string[],
  hooks: readonly string[] = [],
): Promise<{ container: ContractContainer; folder: string }> {
  const folder = join(containerd.folder, "work");
  await mkdir(folder);
  const container = await containerd.container({
    args,
    change: (contents) => {
      contents.mounts.push({ destination: "/work", type: "bind", source: folder, options: ["bind"] });
      // startContainer runs inside, all others outside.
      const path = (name: string): string => (name === "startContainer" ? "/work/log" : join(folder, "log"));
      contents.hooks = Object.fromEntries(
        hooks.map((name) => [
          name,
          [{ path: "/bin/sh", args: ["sh", "-c", `echo ${name} >> ${path(name)}`] }],
        ]),
      );
    },
  });
  return { container, folder };
}

describe("between Create and Start", () => {
  it("the program has not run, and may change still", async () => {
    await using containerd = await ContractContainerd.start();
    const { container, folder } = await withFolder(containerd, ["/work/program"]);
    const program = join(folder, "program");
    await writeFile(program, "#!/bin/sh\necho old\n", { mode: 0o755 });
    await container.create();
    await sleep(200);
    await writeFile(program, "#!/bin/sh\necho new\n");
    const waiting = container.wait();
    await container.start();
    assert.equal((await waiting).exitStatus, 0);
    assert.equal(await container.stdout?.toEnd(), "new\n");
  });

  it("a further process runs", async () => {
    await using containerd = await ContractContainerd.start();
    const container = await containerd.container({ args: ["echo", "first"] });
    await container.create();
    const { stdout } = await container.exec("e", ["echo", "further"]);
    const exited = container.wait("e");
    await container.start("e");
    assert.equal((await exited).exitStatus, 0);
    assert.equal(await stdout?.toEnd(), "further\n");
    assert.equal((await container.state()).status, Status.CREATED);
    const waiting = container.wait();
    await container.start();
    await waiting;
    assert.equal(await container.stdout?.toEnd(), "first\n");
  });

  it("a signal that ends programs ends the task", async () => {
    await using containerd = await ContractContainerd.start();
    const container = await containerd.container({ args: ["echo", "never"] });
    const pid = await container.create();
    const waiting = container.wait();
    await container.kill(28); // SIGWINCH, which ends nothing
    await container.kill(15);
    // runc's own waiting process ends with a status of its own.
    assert.equal((await waiting).exitStatus, foreign ? 2 : 128 + 15);
    assert.equal(await isAlive(pid), false);
    await container.delete();
    assert.equal(await container.stdout?.toEnd(), "");
  });

  it("hooks that belong to the start wait for it, and the others do not", async () => {
    await using containerd = await ContractContainerd.start();
    const names = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    const { container, folder } = await withFolder(containerd, ["true"], names);
    const log = async (): Promise<string[]> => {
      const text = await readFile(join(folder, "log"), "utf8").catch(() => "");
      return text.split("\n").filter((line) => line !== "");
    };
    // runc before 1.2 runs this one when it has made the container, later ones when the program runs.
    const others = async (): Promise<string[]> => (await log()).filter((name) => name !== "poststart");
    await container.create();
    await sleep(200);
    assert.deepEqual(await others(), ["prestart", "createRuntime", "createContainer"]);
    const waiting = container.wait();
    await container.start();
    await waiting;
    assert.deepEqual(await others(), ["prestart", "createRuntime", "createContainer", "startContainer"]);
    await container.delete();
    assert.deepEqual((await log()).sort(), names.sort());
    assert.equal((await log()).at(-1), "poststop");
  });

  it("the shim's death is the waiting process's end", async () => {
    if (foreign) {
      // runc's own process waits on until it is deleted.
      return;
    }
    await using containerd = await ContractContainerd.start();
    const container = await containerd.container({ args: ["echo", "never"] });
    const pid = await container.create();
    const { shimPid } = await container.task.connect({ id: container.id });
    process.kill(shimPid, "SIGKILL");
    for (let round = 0; (await isAlive(pid)) && round < 1000; round += 1) {
      await sleep(50);
    }
    assert.equal(await isAlive(pid), false);
    const { status } = await containerd.runShim(container.bundle, [
      ...containerd.flags(container.id),
      "-bundle",
      container.bundle,
      "delete",
    ]);
    assert.equal(status, 0);
  });
});
