import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage, type TestImage } from "../harness/image.js";
import { nothing, remainsOf } from "./remains.js";

/** Of the ids of this file's containers, and of nothing else on the machine. */
const prefix = `kill-${process.pid}`;

describe("after kill -9", () => {
  let image: TestImage;
  let containerd: PrivateContainerd;
  let ctr: Ctr;

  before(async function () {
    this.timeout(300_000);
    image = await busyboxImage();
  });

  beforeEach(async () => {
    containerd = await PrivateContainerd.start();
    ctr = new Ctr(containerd);
    await ctr.import(image);
  });

  afterEach(() => containerd.stop());

  async function running(script = "while true; do sleep 0.1; echo; done"): Promise<string> {
    const id = freshId(prefix);
    await ctr.check(ctr.runArguments(image, ["sh", "-c", script], { id, flags: ["--detach", "--null-io"] }));
    return id;
  }

  async function stateOf(id: string): Promise<string> {
    const { stdout } = await ctr.check(["task", "ls"]);
    const line = stdout.split("\n").find((text) => text.startsWith(`${id} `));
    return line?.trim().split(/\s+/)[2] ?? "none";
  }

  async function pidOf(id: string): Promise<number> {
    const { stdout } = await ctr.check(["task", "ls"]);
    const line = stdout.split("\n").find((text) => text.startsWith(`${id} `));
    return Number(line?.trim().split(/\s+/)[1]);
  }

  /** Waits until it holds; containerd notices a dead shim in its own time. */
  async function until(what: string, condition: () => Promise<boolean>, limit = 60_000): Promise<void> {
    const deadline = Date.now() + limit;
    while (!(await condition())) {
      assert.ok(Date.now() < deadline, `${what}: not within ${limit} ms`);
      await sleep(50);
    }
  }

  async function ends(pid: number): Promise<void> {
    await until(`end of ${pid}`, () =>
      access(`/proc/${pid}`).then(
        () => false,
        () => true,
      ),
    );
  }

  async function nothingIsLeft(): Promise<void> {
    const ids = await containers();
    if (ids.length > 0) await ctr.check(["containers", "rm", ...ids]);
    let last = await remainsOf(containerd, prefix);
    await until("clean-up", async () => {
      last = await remainsOf(containerd, prefix);
      return JSON.stringify(last) === JSON.stringify(nothing);
    }).catch(() => undefined);
    assert.deepEqual(last, nothing);
  }

  async function containers(): Promise<string[]> {
    const { stdout } = await ctr.check(["containers", "ls", "--quiet"]);
    return stdout.split("\n").filter((id) => id.startsWith(prefix));
  }

  async function remove(id: string): Promise<void> {
    await ctr.check(["task", "rm", "--force", id]);
    await ctr.check(["containers", "rm", id]);
  }

  it("of the shim, its containers end, nothing is left, and the next container runs", async () => {
    const ids = [await running(), await running()];
    const pids = await Promise.all(ids.map(pidOf));
    const [shim] = await containerd.shims();
    assert.ok(shim);
    const bundle = join(containerd.folder, "state/io.containerd.runtime.v2.task/tine-test", ids[0] ?? "");
    const socket = (await readFile(join(bundle, "address"), "utf8")).replace("unix://", "");
    const { runcRoot } = JSON.parse(await readFile(join(bundle, "jail.json"), "utf8")) as {
      runcRoot: string;
    };
    assert.deepEqual([existsSync(socket), existsSync(runcRoot)], [true, true]);
    process.kill(shim, "SIGKILL");
    await Promise.all(pids.map(ends));
    await until("tasks are gone", async () => (await ctr.check(["task", "ls", "--quiet"])).stdout === "");
    await nothingIsLeft();
    assert.deepEqual([existsSync(socket), existsSync(dirname(runcRoot))], [false, false]);
    const { status, stdout } = await ctr.run(image, ["echo", "again"]);
    assert.deepEqual([status, stdout], [0, "again\n"]);
  });

  it("of the shim while it makes a container, that one fails alone, and the next runs", async () => {
    const first = await running();
    const [shim] = await containerd.shims();
    assert.ok(shim);
    const id = freshId(prefix);
    const making = ctr.run(image, ["sleep", "1000"], { id });
    await until("a bundle", async () =>
      access(join(containerd.folder, "state/io.containerd.runtime.v2.task/tine-test", id, "jail.json")).then(
        () => true,
        () => false,
      ),
    );
    process.kill(shim, "SIGKILL");
    const { status } = await making;
    assert.notEqual(status, 0);
    await until("the first ends", async () => (await stateOf(first)) === "none");
    await nothingIsLeft();
    assert.equal((await ctr.run(image, ["true"])).status, 0);
  });

  it("of a container's monitor, that container ends with 137 and no other notices", async () => {
    const [victim, other] = [await running(), await running()];
    process.kill(await pidOf(victim), "SIGKILL");
    await until("the end is seen", async () => (await stateOf(victim)) === "STOPPED");
    const { status, stderr } = await ctr.capture(["task", "rm", victim]);
    assert.deepEqual([status, /exit code 137/.test(stderr)], [0, true]);
    assert.equal(await stateOf(other), "RUNNING");
    await ctr.check(["containers", "rm", victim]);
    await remove(other);
    await nothingIsLeft();
  });

  it("of a monitor that is not the first, its parent sees the signal and goes on", async () => {
    const id = await running("sleep 1000 & echo $! > /tmp/pid; wait $!; echo $? > /tmp/status; sleep 1000");
    const init = await pidOf(id);
    let child: number | undefined;
    await until("the child", async () => {
      const { stdout } = await ctr.check(["task", "ps", id]);
      for (const line of stdout.trim().split("\n").slice(1)) {
        const pid = Number(line.split(/\s+/)[0]);
        const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
        if (pid !== init && name === "sleep\n") child = pid;
      }
      return child !== undefined;
    });
    assert.ok(child);
    process.kill(child, "SIGKILL");
    await until("the status", async () => {
      const { stdout: text } = await ctr.capture([
        "task",
        "exec",
        "--exec-id",
        freshId("e"),
        id,
        "cat",
        "/tmp/status",
      ]);
      return text === "137\n";
    });
    await remove(id);
    await nothingIsLeft();
  });

  it("of containerd, containers go on, and a new containerd finds, runs and ends them", async () => {
    const id = await running("while true; do echo x >> /tmp/ticks; sleep 0.1; done");
    const [shim] = await containerd.shims();
    const ticks = async (): Promise<number> => {
      const exec = ["task", "exec", "--exec-id", freshId("e"), id, "wc", "-l", "/tmp/ticks"];
      return Number((await ctr.check(exec)).stdout.trim().split(" ")[0]);
    };
    const before = await ticks();
    await containerd.kill();
    await sleep(500);
    await containerd.launch();
    assert.deepEqual([await stateOf(id), await containerd.shims()], ["RUNNING", [shim]]);
    assert.ok((await ticks()) > before);
    assert.equal((await ctr.run(image, ["true"])).status, 0);
    await remove(id);
    await nothingIsLeft();
  });

  it("of containerd, a container that ends meanwhile is found stopped, with its status", async () => {
    const id = await running("sleep 1; exit 9");
    const pid = await pidOf(id);
    await containerd.kill();
    await ends(pid);
    await containerd.launch();
    await until("it is seen", async () => (await stateOf(id)) === "STOPPED");
    const { stderr } = await ctr.capture(["task", "rm", id]);
    assert.match(stderr, /exit code 9/);
    await nothingIsLeft();
  });

  it("of everything at once, a start of containerd and one container more clean up", async () => {
    const id = await running();
    const pid = await pidOf(id);
    const [shim] = await containerd.shims();
    assert.ok(shim);
    await containerd.kill();
    process.kill(shim, "SIGKILL");
    await containerd.launch();
    await ends(pid);
    await until("the task is gone", async () => (await stateOf(id)) === "none");
    await nothingIsLeft();
    assert.equal((await ctr.run(image, ["true"])).status, 0);
  });
});
