import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { check } from "../harness/command.js";
import { programs, repository } from "../harness/paths.js";

const load = join(repository, "build/test/load");

/** What a program printed, and what its process holds on the host when it is done. */
interface Load {
  lines: string[];
  /** Bytes of private memory. */
  resident: number;
  descriptors: number;
  status: number | null;
}

async function run(command: readonly string[]): Promise<Load> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit") as Promise<[number | null]>;
  const lines: string[] = [];
  let resident = 0;
  let descriptors = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line !== "done") continue;
    const process = `/proc/${String(child.pid)}`;
    const status = await readFile(`${process}/status`, "utf8");
    resident = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    descriptors = (await readdir(`${process}/fd`)).length;
    child.stdin.end();
  }
  const [status] = await ended;
  return { lines, resident, descriptors, status };
}

/** The program in a microVM. */
const guest = (mode: string, n: number): Promise<Load> =>
  run([join(programs, "tine-vmm"), "--", load, mode, String(n)]);

describe("a microVM under load", function () {
  this.timeout(240_000);

  before(async () => {
    await mkdir(join(repository, "build/test"), { recursive: true });
    const source = join(repository, "test/breadth/programs/load.c");
    await check(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", load, source]);
  });

  for (const [mode, n] of [
    ["forks", 300],
    ["crowd", 200],
    ["threads", 1000],
    ["together", 300],
    ["signals", 1000],
    ["queue", 1000],
    ["mappings", 3000],
    ["areas", 6000],
  ] as const) {
    it(`${mode} ${String(n)}: as on Linux`, async () => {
      const [native, inside] = [await run([load, mode, String(n)]), await guest(mode, n)];
      assert.deepEqual([inside.lines, inside.status], [native.lines, native.status]);
      assert.equal(inside.status, 0);
    });
  }

  for (const [mode, few, many] of [
    ["forks", 20, 300],
    ["threads", 20, 1000],
    ["mappings", 20, 3000],
  ] as const) {
    it(`the monitor holds no more after ${String(many)} ${mode} than after ${String(few)}`, async () => {
      const [before, after] = [await guest(mode, few), await guest(mode, many)];
      assert.equal(after.descriptors, before.descriptors);
      assert.ok(
        after.resident - before.resident < 256 * 1024,
        `${String(before.resident)} → ${String(after.resident)} bytes`,
      );
    });
  }
});
