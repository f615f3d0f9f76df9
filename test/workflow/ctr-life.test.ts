import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { capture, type Talk } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage, type TestImage } from "../harness/image.js";

describe("a container under ctr", () => {
  let containerd: PrivateContainerd;
  let ctr: Ctr;
  let image: TestImage;

  before(async function () {
    this.timeout(300_000);
    containerd = await PrivateContainerd.start({ keepImages: true });
    ctr = new Ctr(containerd);
    image = await busyboxImage();
    await ctr.import(image);
  });

  after(async () => {
    await containerd.stop();
  });

  /** Starts a container in the background and returns its id. */
  async function start(...command: string[]): Promise<string> {
    const id = freshId("life");
    await ctr.check(ctr.runArguments(image, command, { id, flags: ["--detach"] }));
    return id;
  }

  async function remove(id: string): Promise<void> {
    await ctr.capture(["tasks", "delete", "--force", id]);
    await ctr.check(["containers", "delete", id]);
  }

  /** The task's line of `ctr tasks list`: its pid and state. */
  async function task(id: string): Promise<{ pid: number; state: string } | undefined> {
    const { stdout } = await ctr.check(["tasks", "list"]);
    const line = stdout.split("\n").find((text) => text.split(/\s+/)[0] === id);
    if (line === undefined) return undefined;
    const [, pid, state = ""] = line.split(/\s+/);
    return { pid: Number(pid), state };
  }

  async function untilState(id: string, state: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    while ((await task(id))?.state !== state) {
      assert.ok(Date.now() < deadline, `${id} did not become ${state}`);
      await sleep(50);
    }
  }

  it("runs detached under the name that ps shows, and stops when it is killed", async () => {
    const id = await start("sleep", "1000");
    try {
      const running = await task(id);
      assert.equal(running?.state, "RUNNING");
      assert.equal(await readFile(`/proc/${running.pid}/comm`, "utf8"), "sleep\n");
      assert.equal(await readFile(`/proc/${running.pid}/cmdline`, "utf8"), "sleep\0" + "1000\0");
      await ctr.check(["tasks", "kill", "--signal", "KILL", id]);
      await untilState(id, "STOPPED");
      assert.match((await ctr.check(["tasks", "delete", id])).stderr, /non-zero exit code 137/);
    } finally {
      await remove(id);
    }
  });

  it("gets the signal that it handles", async () => {
    const id = await start("sh", "-c", "trap 'exit 3' TERM; : >/tmp/ready; while :; do sleep 0.05; done");
    try {
      const { pid } = (await task(id)) ?? { pid: 0 };
      while (!existsSync(`/proc/${pid}/root/tmp/ready`)) await sleep(20);
      await ctr.check(["tasks", "kill", id]);
      await untilState(id, "STOPPED");
      assert.match((await ctr.check(["tasks", "delete", id])).stderr, /non-zero exit code 3"/);
    } finally {
      await remove(id);
    }
  });

  it("runs further programs: their input, output, status, folder and user", async () => {
    const id = await start("sleep", "1000");
    try {
      const exec = ["tasks", "exec", "--exec-id"];
      assert.deepEqual(
        await ctr.capture(
          [...exec, "one", "--cwd", "/etc", "--user", "65534", id, "sh", "-c", "cat; pwd; id -u; exit 9"],
          {
            input: "to exec\n",
          },
        ),
        { status: 9, stdout: "to exec\n/etc\n65534\n", stderr: "" },
      );
      const seen = await ctr.capture([...exec, "two", id, "ps", "-o", "pid,comm"]);
      assert.deepEqual(
        [
          seen.status,
          seen.stdout
            .split("\n")
            .map((line) => line.trim())
            .filter((line) => line.startsWith("1 ")),
        ],
        [0, ["1 sleep"]],
      );
      const missing = await ctr.capture([...exec, "three", id, "no-such-program"]);
      assert.notEqual(missing.status, 0);
      assert.match(missing.stderr, /executable file not found/);
    } finally {
      await remove(id);
    }
  });

  it("takes a second program's end without ending itself", async () => {
    const id = await start("sleep", "1000");
    try {
      const killed = await ctr.capture(["tasks", "exec", "--exec-id", "k", id, "sh", "-c", "kill -KILL $$"]);
      assert.deepEqual([killed.status, (await task(id))?.state], [137, "RUNNING"]);
    } finally {
      await remove(id);
    }
  });

  it("stands still while it is paused, and goes on", async () => {
    const id = await start("sh", "-c", "while :; do echo x >> /tmp/ticks; sleep 0.02; done");
    const ticks = async (): Promise<number> => {
      const { pid } = (await task(id)) ?? { pid: 0 };
      return (await readFile(`/proc/${pid}/root/tmp/ticks`, "utf8").catch(() => "")).length;
    };
    try {
      while ((await ticks()) === 0) await sleep(50);
      await ctr.check(["tasks", "pause", id]);
      assert.equal((await task(id))?.state, "PAUSED");
      const before = await ticks();
      await sleep(300);
      assert.equal(await ticks(), before);
      await ctr.check(["tasks", "resume", id]);
      assert.equal((await task(id))?.state, "RUNNING");
      const deadline = Date.now() + 60_000;
      while ((await ticks()) === before) {
        assert.ok(Date.now() < deadline, "no tick after resume");
        await sleep(50);
      }
    } finally {
      await remove(id);
    }
  });

  it("has metrics, and a list of its processes", async () => {
    const id = await start("sh", "-c", "sleep 1000 & sleep 1000");
    try {
      const metrics = await ctr.check(["tasks", "metrics", id]);
      assert.match(metrics.stdout, new RegExp(`^${id} `, "m"));
      assert.match(metrics.stdout, /memory\.usage|memory\.usage_in_bytes/);
      const deadline = Date.now() + 60_000;
      const processes = async (): Promise<number> =>
        (await ctr.check(["tasks", "ps", id])).stdout.trim().split("\n").length - 1;
      while ((await processes()) !== 2) {
        assert.ok(Date.now() < deadline, `${await processes()} processes instead of 2`);
        await sleep(50);
      }
    } finally {
      await remove(id);
    }
  });

  it("has a terminal: its size, its echo, its signals", async () => {
    const id = freshId("tty");
    const command = ctr.command(
      ...ctr.runArguments(image, ["sh", "-c", "stty size; tty; read line; echo got $line; exit 6"], {
        id,
        flags: ["--rm", "--tty"],
      }),
    );
    const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    const inTerminal = [
      "script",
      "--quiet",
      "--return",
      "--command",
      `stty rows 33 cols 77; ${quoted}`,
      "/dev/null",
    ];
    // The answer comes after the question, as from a person.
    const talk = async (program: Talk): Promise<void> => {
      const shown = async (text: string): Promise<void> => {
        while (!program.ended && !program.output.includes(text)) await sleep(50);
      };
      await shown("/dev/pts/0");
      program.write("typed\n");
      await shown("got typed");
    };
    const result = await capture(inTerminal, { talk });
    const lines = result.stdout.split(/\r*\n/).filter((line) => line !== "");
    assert.deepEqual([result.status, lines], [6, ["33 77", "/dev/pts/0", "typed", "got typed"]]);
  });

  it("leaves no process, mount or control group behind", async () => {
    const id = freshId("gone");
    await ctr.run(image, ["sh", "-c", "sleep 1000 & sleep 1000 & exit 0"], { id });
    const mounts = await readFile("/proc/self/mounts", "utf8");
    const groups = await capture(["find", "/sys/fs/cgroup", "-type", "d", "-name", id]);
    const left = (await capture(["ps", "-eo", "args"])).stdout
      .split("\n")
      .filter((line) => line.includes(id));
    assert.deepEqual([mounts.includes(id), groups.stdout, left], [false, "", []]);
  });
});
