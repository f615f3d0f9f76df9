import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { capture, check } from "../harness/command.js";
import { programs } from "../harness/paths.js";

/** Two mappings that hold code made at run time, and one that does not; says where they are, and waits. */
const source = `
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    char *at_once = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *later = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *data = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(at_once, 0xc3, 262144);
    memset(later, 0xc3, 65536);
    memset(data, 1, 65536);
    mprotect(later, 65536, PROT_READ | PROT_EXEC);
    if (fork() == 0) _exit(0);
    wait(NULL);
    printf("%012lx %012lx\\n", (unsigned long)at_once, (unsigned long)later);
    fflush(stdout);
    pause();
}
`;

describe("tine regions", () => {
  const tine = join(programs, "tine");
  let folder: string;
  let program: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-regions-"));
    program = join(folder, "program");
    await writeFile(`${program}.c`, source);
    await check(["gcc", "-O1", "-o", program, `${program}.c`], { limit: 60_000 });
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** What it says of the program under a strategy, and where the program has its code. */
  async function regions(strategy: string): Promise<{ lines: string[]; code: string[] }> {
    const command = ["do", "--fork", strategy, "--", program];
    const child = spawn(tine, command, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      const { stdout } = await check([tine, "regions", String(child.pid)]);
      return { lines: stdout.trimEnd().split("\n"), code: line.split(" ") };
    } finally {
      child.kill("SIGKILL");
    }
  }

  it("shows what a JIT owns, and why", async () => {
    const { lines, code } = await regions("selective-cow");
    const why = "copied: anonymous, is or was executable";
    const range = (start = "", bytes = 0): string =>
      `${start}-${(Number.parseInt(start, 16) + bytes).toString(16).padStart(12, "0")}`;
    assert.deepEqual(lines, [
      "native program, selective-cow, as asked for; 1 forks; 0.00 MiB copied when it was forked itself",
      ...[
        `${range(code[0], 1 << 20)} rwxp jit           0.25 MiB  ${why}`,
        `${range(code[1], 1 << 16)} r-xp jit           0.06 MiB  ${why}`,
      ].sort(),
      "2 regions, 0.31 MiB resident",
    ]);
  });

  it("shows nothing where nothing is copied", async () => {
    const { lines } = await regions("auto");
    assert.deepEqual(lines, [
      "native program, cow; 1 forks; 0.00 MiB copied when it was forked itself",
      "a fork copies nothing at once: all regions are copy-on-write or shared (--all lists them)",
    ]);
  });

  it("knows what is no guest", async () => {
    const { status, stderr } = await capture([tine, "regions", String(process.pid)]);
    assert.deepEqual(
      { status, stderr },
      { status: 125, stderr: `tine regions: process ${process.pid} is no guest of Tine\n` },
    );
  });
});
