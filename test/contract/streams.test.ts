import assert from "node:assert/strict";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ContractContainerd } from "./client.js";
import { FifoReader } from "./fifo.js";

describe("a task's streams", () => {
  let containerd: ContractContainerd;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  it("carry output and errors apart, all of them, before Delete returns", async () => {
    const lines = 20_000;
    const script = `i=0; while [ $i -lt ${lines} ]; do echo line $i; i=$((i+1)); done; echo end >&2; exit 7`;
    const result = await containerd.run({ args: ["sh", "-c", script] });
    const expected = Array.from({ length: lines }, (_, index) => `line ${index}\n`).join("");
    assert.equal(result.stdout, expected);
    assert.deepEqual([result.status, result.stderr], [7, "end\n"]);
  });

  it("give the end of input on CloseIO, which may be called again", async () => {
    const container = await containerd.container({ args: ["cat"] });
    await container.create();
    const waiting = container.wait();
    await container.start();
    container.stdin?.write("first\n");
    await container.stdout?.including("first\n");
    // The client's own end stays open: CloseIO alone counts.
    container.stdin?.write("second\n");
    await container.stdout?.including("second\n");
    container.stdin?.close();
    await container.task.closeIO({ id: container.id, stdin: true });
    await container.task.closeIO({ id: container.id, stdin: true });
    assert.equal((await waiting).exitStatus, 0);
    assert.equal(await container.stdout?.toEnd(), "first\nsecond\n");
    await container.task.closeIO({ id: container.id, stdin: true });
  });

  it("do not end the input when the client's end closes without CloseIO", async () => {
    const container = await containerd.container({ args: ["cat"] });
    await container.create();
    await container.start();
    container.stdin?.write("still\n");
    await container.stdout?.including("still\n");
    container.stdin?.close();
    await sleep(200);
    assert.equal((await container.state()).status, 2);
  });

  it("may be none: input is at its end, output goes nowhere", async () => {
    const container = await containerd.container({
      args: ["sh", "-c", "cat; echo x; echo y >&2"],
      streams: "none",
    });
    await container.create();
    const waiting = container.wait();
    await container.start();
    assert.equal((await waiting).exitStatus, 0);
  });

  it("outlive a reader that leaves, and another may come", async () => {
    const script = 'while read line; do echo "got $line"; done';
    const container = await containerd.container({ args: ["sh", "-c", script] });
    await container.create();
    await container.start();
    container.stdin?.write("one\n");
    await container.stdout?.including("got one\n");
    container.stdout?.close();
    container.stdin?.write("two\n");
    await sleep(100);
    assert.equal((await container.state()).status, 2);
    const next = new FifoReader(container.streams.stdout);
    try {
      container.stdin?.write("three\n");
      await next.including("got three\n");
    } finally {
      next.close();
    }
  });

  it("go to a file that a file:// address names, appended, in a folder made for it", async () => {
    const path = join(containerd.folder, "logs/deep/output");
    await mkdir(join(containerd.folder, "logs"));
    const address = `file://${path}`;
    for (const word of ["one", "two"]) {
      const container = await containerd.container({
        args: ["sh", "-c", `echo ${word}; echo ${word} problem >&2`],
        streams: { stdin: "", stdout: address, stderr: address },
      });
      await container.create();
      const waiting = container.wait();
      await container.start();
      await waiting;
      await container.delete();
    }
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 2).sort(), ["one", "one problem"]);
    assert.deepEqual(lines.slice(2).sort(), ["two", "two problem"]);
    assert.equal((await stat(path)).mode & 0o777, 0o644);
  });

  it("go to a program that a binary:// address names, with descriptors 3, 4 and 5", async () => {
    const program = join(containerd.folder, "logger");
    const log = join(containerd.folder, "logged");
    const lines = [
      "#!/bin/sh",
      // Delete sends it, while there may be output to write still.
      "trap '' TERM",
      `echo "args $*" >${log}`,
      `env | grep ^CONTAINER_ | sort >>${log}`,
      "exec 5>&-",
      `cat <&3 >${log}.out & cat <&4 >${log}.err; wait`,
      `echo done >>${log}`,
    ];
    await writeFile(program, `${lines.join("\n")}\n`);
    await chmod(program, 0o755);
    const address = `binary://${program}?key=value`;
    const container = await containerd.container({
      args: ["sh", "-c", "echo output; echo problem >&2"],
      streams: { stdin: "", stdout: address, stderr: address },
    });
    await container.create();
    const waiting = container.wait();
    await container.start();
    await waiting;
    await container.delete();
    for (let round = 0; round < 2000 && !(await readFile(log, "utf8")).includes("done"); round += 1) {
      await sleep(20);
    }
    assert.equal(
      await readFile(log, "utf8"),
      `args key value\nCONTAINER_ID=${container.id}\nCONTAINER_NAMESPACE=${containerd.namespace}\ndone\n`,
    );
    assert.equal(await readFile(`${log}.out`, "utf8"), "output\n");
    assert.equal(await readFile(`${log}.err`, "utf8"), "problem\n");
  });

  it("do not hold up Delete for long when a descendant keeps them open", async () => {
    const container = await containerd.container({
      args: ["sh", "-c", "sleep 600 & echo started"],
      change: ({ linux }) => (linux.namespaces = linux.namespaces.filter(({ type }) => type !== "pid")),
    });
    await container.create();
    const waiting = container.wait();
    await container.start();
    await waiting;
    const before = performance.now();
    await container.delete();
    assert.ok(performance.now() - before < 40_000);
    assert.equal(container.stdout?.text, "started\n");
  });
});
