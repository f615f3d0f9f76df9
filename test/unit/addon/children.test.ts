import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { addon } from "../../../native/addon/addon.js";
import { spawnChild } from "../../../native/addon/children.js";

const nothing = openSync("/dev/null", "r+");
const shell = (script: string, descriptors: readonly number[] = [nothing, nothing, nothing]) =>
  spawnChild({ file: "/bin/sh", args: ["-c", script], environment: ["PATH=/usr/bin:/bin"], descriptors });

describe("a child process", () => {
  it("ends with its exit code, or 128 and the signal", async () => {
    const exits = await Promise.all([shell("exit 7").exited, shell("kill -9 $$").exited]);
    assert.deepEqual(
      exits.map(({ status, signal }) => ({ status, signal })),
      [
        { status: 7, signal: null },
        { status: 137, signal: 9 },
      ],
    );
  });

  it("has the descriptors it was given, under the numbers it was given, and no others", async () => {
    const [reading, writing] = addon.pipe();
    // In an order in which copying one by one would overwrite the next.
    const child = shell("echo /proc/self/fd/* >&3", [nothing, nothing, nothing, writing]);
    closeSync(writing);
    await child.exited;
    const buffer = Buffer.alloc(200);
    const length = readSync(reading, buffer);
    closeSync(reading);
    const numbers = buffer
      .toString("utf8", 0, length)
      .trim()
      .split(" ")
      .map((path) => path.split("/").at(-1));
    // The shell's own look at the folder is open while it looks.
    assert.deepEqual(numbers.slice(0, 4), ["0", "1", "2", "3"]);
    assert.ok(numbers.length <= 5, numbers.join());
  });

  it("gets descriptors that trade places", async () => {
    const [reading, writing] = addon.pipe();
    const child = spawnChild({
      file: "/bin/sh",
      args: [
        "-c",
        `echo here > /proc/self/fd/${reading}; read line < /proc/self/fd/${writing}; [ "$line" = here ]`,
      ],
      environment: [],
      descriptors: Array.from({ length: Math.max(reading, writing) + 1 }, (_, number) =>
        number === reading ? writing : number === writing ? reading : nothing,
      ),
    });
    assert.equal((await child.exited).status, 0);
    [reading, writing].forEach((descriptor) => closeSync(descriptor));
  });

  it("starts with no signal blocked or ignored", async () => {
    const [reading, writing] = addon.pipe();
    const child = shell("cat /proc/self/status", [nothing, writing, nothing]);
    closeSync(writing);
    await child.exited;
    const buffer = Buffer.alloc(4096);
    const status = buffer.toString("utf8", 0, readSync(reading, buffer));
    closeSync(reading);
    const mask = (name: string): bigint =>
      BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)$`, "m").exec(status)?.[1]}`);
    assert.deepEqual([mask("SigBlk"), mask("SigIgn")], [0n, 0n]);
  });

  it("takes a signal while it lives, and none afterwards", async () => {
    const child = shell("sleep 60");
    child.signal(15);
    assert.equal((await child.exited).status, 143);
    assert.throws(() => child.signal(15), { code: "ESRCH" });
  });

  it("cannot be started from a program that is not there", () => {
    const start = () => spawnChild({ file: "/nonexistent", args: [], environment: [], descriptors: [] });
    assert.throws(start, { code: "ENOENT", syscall: "posix_spawn" });
  });
});

describe("a sealed memory file", () => {
  const sealed = addon.sealedMemory("test", Buffer.from("content"));

  it("holds its bytes, and can be executed but not be written, through any descriptor", () => {
    assert.equal(readFileSync(`/proc/self/fd/${sealed}`, "utf8"), "content");
    assert.throws(() => writeFileSync(`/proc/self/fd/${sealed}`, "other"), { code: "EPERM" });
    const flags =
      /^flags:\s*0*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${sealed}`, "utf8"))?.[1] ?? "";
    assert.equal(parseInt(flags, 8) & 3, 0);
  });

  it("is opened anew with an offset of its own", () => {
    const buffer = Buffer.alloc(3);
    readSync(sealed, buffer);
    const again = addon.reopen(sealed);
    readSync(again, buffer);
    assert.equal(buffer.toString(), "con");
    closeSync(again);
  });

  it("is a copy of a file just as well", () => {
    const copy = addon.sealedCopy("test", "/etc/passwd");
    assert.equal(readFileSync(`/proc/self/fd/${copy}`, "utf8"), readFileSync("/etc/passwd", "utf8"));
    closeSync(copy);
  });
});

describe("descriptors in a message", () => {
  it("arrive, with the bytes beside them", () => {
    const [left, right] = addon.socketPair();
    const [reading, writing] = addon.pipe();
    addon.sendDescriptors(left, Buffer.from("hello"), [reading]);
    const { data, descriptors } = addon.receiveDescriptors(right);
    assert.deepEqual([data.toString(), descriptors.length], ["hello", 1]);
    assert.throws(() => addon.receiveDescriptors(right), { code: "EAGAIN" });
    [left, right, reading, writing, ...descriptors].forEach((descriptor) => closeSync(descriptor));
  });
});
