import assert from "node:assert/strict";
import { ContractContainerd, type ContractContainer } from "./client.js";

const script =
  'stty size; while read line; do case $line in size) stty size;; quit) exit 5;; *) echo "<$line>";; esac; done';

describe("a task's terminal", () => {
  let containerd: ContractContainerd;

  beforeEach(async () => {
    containerd = await ContractContainerd.start();
  });

  afterEach(() => containerd[Symbol.asyncDispose]());

  it("is a tty that echoes, takes sizes and ends with the process", async () => {
    const container = await containerd.container({
      args: ["sh", "-c", `tty; ${script}`],
      terminal: true,
      change: ({ process }) => (process.consoleSize = { width: 91, height: 37 }),
    });
    const { id, task } = container;
    await container.create();
    assert.equal((await container.state()).terminal, true);
    const waiting = container.wait();
    await container.start();
    await container.stdout?.including("/dev/pts/0\r\n37 91\r\n");
    await task.resizePty({ id, width: 132, height: 50 });
    container.stdin?.write("size\n");
    await container.stdout?.including("size\r\n50 132\r\n");
    container.stdin?.write("word\n");
    await container.stdout?.including("word\r\n<word>\r\n");
    container.stdin?.write("quit\n");
    assert.equal((await waiting).exitStatus, 5);
    await container.delete();
    assert.equal(
      container.stdout?.text,
      "/dev/pts/0\r\n37 91\r\nsize\r\n50 132\r\nword\r\n<word>\r\nquit\r\n",
    );
  });

  it("can be resized between Create and Start", async () => {
    const container = await containerd.container({ args: ["sh", "-c", script], terminal: true });
    await container.create();
    await container.task.resizePty({ id: container.id, width: 70, height: 20 });
    await container.start();
    await container.stdout?.including("20 70\r\n");
  });

  it("sends the interrupt character as a signal to the foreground", async () => {
    const container = await containerd.container({
      args: ["sh", "-c", "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 1; done"],
      terminal: true,
    });
    await container.create();
    const waiting = container.wait();
    await container.start();
    await container.stdout?.including("ready\r\n");
    container.stdin?.write("\x03");
    assert.equal((await waiting).exitStatus, 9);
    await container.stdout?.including("interrupted\r\n");
  });

  it("belongs to an exec that asks for one", async () => {
    const container = await containerd.container({ args: ["sleep", "600"], streams: "none" });
    await container.create();
    await container.start();
    const { stdin, stdout } = await container.exec("e", ["sh", "-c", script], { terminal: true });
    // A size given before the start is not an error; containerd's clients do it.
    await container.task.resizePty({ id: container.id, execId: "e", width: 1, height: 1 });
    const waiting = container.wait("e");
    await container.start("e");
    await container.task.resizePty({ id: container.id, execId: "e", width: 100, height: 30 });
    stdin?.write("size\n");
    await stdout?.including("30 100\r\n");
    stdin?.write("quit\n");
    assert.equal((await waiting).exitStatus, 5);
  });

  it("is no terminal, and resizing it no error, without one", async () => {
    const container: ContractContainer = await containerd.container({ args: ["sh", "-c", "tty; read line"] });
    await container.create();
    await container.start();
    await container.task.resizePty({ id: container.id, width: 80, height: 24 });
    await container.stdout?.including("not a tty\n");
  });
});
