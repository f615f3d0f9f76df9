import assert from "node:assert/strict";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "../../../native/addon/addon.js";
import { spawnChild, type Exit } from "../../../native/addon/children.js";
import type { ProcessStdio } from "../../../runtime/stdio.js";
import { openStreams, type StreamRequest } from "../../../shim/stdio/open.js";
import { FifoReader, FifoWriter, makeFifo } from "../../contract/fifo.js";

describe("a process's streams", () => {
  let folder: string;
  let lost: string[];
  let opened: ProcessStdio[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-stdio-"));
    [lost, opened] = [[], []];
  });

  afterEach(async () => {
    await Promise.all(opened.map((stdio) => stdio.close()));
    await rm(folder, { recursive: true });
  });

  async function open(request: Partial<StreamRequest>): Promise<ProcessStdio> {
    const whole = { stdin: "", stdout: "", stderr: "", terminal: false, ...request };
    const context = { id: "c", namespace: "ns", bundle: folder, log: (line: string) => void lost.push(line) };
    const stdio = await openStreams(whole, context);
    opened.push(stdio);
    return stdio;
  }

  function run(stdio: ProcessStdio, script: string): Promise<Exit> {
    const child = spawnChild({
      file: "/bin/sh",
      args: ["-c", script],
      environment: ["PATH=/usr/bin:/bin"],
      descriptors: stdio.descriptors,
    });
    stdio.handedOver();
    stdio.begin();
    return child.exited;
  }

  const fifo = (name: string): Promise<string> => makeFifo(join(folder, name));

  it("are at their end, and go nowhere, when none are wanted", async () => {
    const stdio = await open({});
    assert.equal((await run(stdio, "echo a; echo b >&2; read line")).status, 1);
    await stdio.drained;
  });

  it("carry output and errors apart through pipes that are the process's own", async () => {
    const [stdout, stderr] = [await fifo("out"), await fifo("err")];
    const stdio = await open({ stdout, stderr });
    const readers = [new FifoReader(stdout), new FifoReader(stderr)];
    // A pipe and no fifo of the host: it has no path.
    await run(stdio, "readlink /proc/self/fd/1 | cut -d: -f1 >&2; echo out; chown 1:1 /dev/stdout");
    await stdio.drained;
    assert.deepEqual(await Promise.all(readers.map((reader) => reader.toEnd())), ["out\n", "pipe\n"]);
  });

  it("lose nothing of much output, and hold back a process whose output nobody takes", async () => {
    const stdout = await fifo("out");
    const stdio = await open({ stdout });
    const exited = run(stdio, "head -c 3000000 /dev/zero | tr '\\\\0' x");
    const early = await Promise.race([
      exited.then(() => "ended"),
      new Promise((r) => setTimeout(r, 300, "held")),
    ]);
    assert.equal(early, "held");
    const reader = new FifoReader(stdout);
    assert.equal((await exited).status, 0);
    assert.equal((await reader.toEnd()).length, 3_000_000);
  });

  it("are settled when the client has read what was written, or when there is no client any more", async () => {
    const stdout = await fifo("out");
    // Held open beyond the process's end by another one, which its client does not wait for.
    const client = openSync(stdout, constants.O_RDONLY | constants.O_NONBLOCK);
    const stdio = await open({ stdout });
    const [held, hold] = addon.pipe();
    const other = spawnChild({
      file: "/bin/cat",
      args: [],
      environment: [],
      descriptors: [held, stdio.descriptors[1]],
    });
    closeSync(held);
    await run(stdio, "echo first; echo second");
    let settled = false;
    const settling = stdio.settled().then(() => (settled = true));
    const buffer = Buffer.alloc(6);
    const read = async (): Promise<string> => {
      while (!addon.isReadable(client)) await delay(1);
      return buffer.toString("utf8", 0, readSync(client, buffer));
    };
    assert.deepEqual([await read(), settled], ["first\n", false]);
    await delay(20);
    assert.deepEqual([settled, await read()], [false, "second"]);
    closeSync(client);
    await settling;
    closeSync(hold);
    await other.exited;
  });

  it("give input, and its end when that is asked for, more than once", async () => {
    const [stdin, stdout] = [await fifo("in"), await fifo("out")];
    const stdio = await open({ stdin, stdout });
    const reader = new FifoReader(stdout);
    const writer = new FifoWriter(stdin);
    const exited = run(stdio, "cat; echo end");
    writer.write("hello\n");
    await reader.including("hello");
    writer.close();
    assert.equal(reader.text, "hello\n");
    stdio.closeStdin();
    stdio.closeStdin();
    await exited;
    assert.equal(await reader.toEnd(), "hello\nend\n");
  });

  it("survive a process that does not read its input", async () => {
    const stdin = await fifo("in");
    const stdio = await open({ stdin });
    const writer = new FifoWriter(stdin);
    writer.write("x".repeat(200_000));
    assert.equal((await run(stdio, "exit 5")).status, 5);
    writer.close();
    await stdio.close();
  });

  it("go to a file, appended, both into one", async () => {
    const path = join(folder, "logs/a b");
    const uri = `file://${encodeURI(path)}`;
    for (const word of ["one", "two"]) {
      const stdio = await open({ stdout: uri, stderr: uri });
      await run(stdio, `echo ${word}; echo ${word} >&2`);
      await stdio.drained;
      await stdio.close();
    }
    assert.equal((await readFile(path, "utf8")).split("\n").sort().join(), ",one,one,two,two");
  });

  it("are lost with a report, and the process goes on, where a file cannot be written", async () => {
    const stdio = await open({ stdout: "file:///dev/full" });
    assert.equal((await run(stdio, "head -c 300000 /dev/zero; exit 3")).status, 3);
    await stdio.drained;
    assert.deepEqual(lost, ["output is lost: /dev/full: ENOSPC: no space left on device, write"]);
  });

  it("go to a program that was told whose they are, once it is ready", async () => {
    const logger = join(folder, "logger");
    const script = `#!/bin/sh
exec >"${folder}/log"; echo "$1 $2 $CONTAINER_ID $CONTAINER_NAMESPACE"; echo >&5; exec 5>&-
cat <&3; cat <&4; echo end
`;
    await writeFile(logger, script);
    await chmod(logger, 0o755);
    const stdio = await open({
      stdout: `binary://${logger}?key=value`,
      stderr: `binary://${logger}?key=value`,
    });
    assert.equal(await readFile(join(folder, "log"), "utf8"), "key value c ns\n");
    await run(stdio, "echo out; echo err >&2");
    await stdio.close();
    await until(async () => (await readFile(join(folder, "log"), "utf8")).endsWith("end\n"));
    assert.equal(await readFile(join(folder, "log"), "utf8"), "key value c ns\nout\nerr\nend\n");
  });

  it("cannot go where there is nothing: the error says so", async () => {
    await assert.rejects(open({ stdout: "/nonexistent/fifo" }), { code: "ENOENT" });
    await assert.rejects(open({ stdout: "ftp://host/path" }), {
      code: "invalid-argument",
      message: "streams cannot go to ftp://",
    });
    await assert.rejects(open({ stdout: "binary:///nonexistent" }), {
      code: "failed",
      message: "failed to start the logger /nonexistent: ENOENT: No such file or directory, posix_spawn",
    });
  });

  it("are given up after a closing, although somebody holds them open", async () => {
    const stdout = await fifo("out");
    const stdio = await open({ stdout });
    const reader = new FifoReader(stdout);
    await run(stdio, "sleep 2 & echo out");
    await reader.including("out");
    await stdio.close();
    assert.equal(await reader.toEnd(), "out\n");
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "not in 60 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
