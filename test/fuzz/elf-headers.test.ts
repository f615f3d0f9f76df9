import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { programs } from "../harness/paths.js";

/** Files made of each program. */
const count = 120;

/** Milliseconds one of them may run: a changed entry point may lead into a loop, and then does so on both sides. */
const patience = { native: 3000, guest: 60_000 };

/** Where the fields lie that the kernel reads: the file's header, then its program headers. */
const headerBytes = 64;
const programHeaderBytes = 56;

const source = "int main(void) { return 3; }\n";

/** What tine-vmm does with a program, without tine-vmm. (Node's own way to start one tries a shell as well.) */
const execute = `
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **arguments) {
  execv(arguments[1], arguments + 1);
  const int error = errno;
  fprintf(stderr, "%s: %s\\n", arguments[1], strerror(error));
  return error == ENOENT || count < 2 ? 127 : 126;
}
`;

/** Numbers that look random and are the same each time: Mulberry32. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Changes a few bytes or words of the headers, or cuts the file off. */
function mutated(original: Buffer, next: (below: number) => number): Buffer {
  const file = Buffer.from(original);
  const headers = headerBytes + programHeaderBytes * file.readUInt16LE(56);
  const interesting = [
    0n,
    1n,
    0xfffn,
    0x1000n,
    0x7fff_ffffn,
    1n << 32n,
    1n << 47n,
    1n << 63n,
    (1n << 64n) - 1n,
  ];
  for (let change = next(3); change >= 0; change -= 1) {
    // Two in three where segments are described: the rest is seldom read.
    const word = next(3) === 0 ? next(headerBytes / 8) : next(headers / 8);
    switch (next(3)) {
      case 0:
        file[word * 8 + next(8)] = next(256);
        break;
      case 1:
        file.writeBigUInt64LE(interesting[next(interesting.length)] ?? 0n, word * 8);
        break;
      case 2:
        file.writeUInt16LE(next(0x10000), word * 8 + 2 * next(4));
        break;
    }
  }
  return next(8) === 0 ? file.subarray(0, next(headers + 8)) : file;
}

/** How a program ended: `exit 3`, `signal SIGSEGV`, `no end`, or in which words it was refused. */
function outcome(program: string, args: readonly string[], path: string, timeout: number): string {
  const { error, status, signal, stderr } = spawnSync(program, [...args, path], {
    timeout,
    killSignal: "SIGKILL",
    encoding: "utf8",
  });
  if (error !== undefined && "code" in error && error.code === "ETIMEDOUT") return "no end";
  const refusal = stderr.indexOf(`${path}: `);
  if (refusal >= 0 && (status === 126 || status === 127))
    return stderr.slice(refusal + path.length + 2).trim();
  return signal === null ? `exit ${String(status)}` : `signal ${signal}`;
}

describe("ELF files with headers of all sorts", function () {
  this.timeout(600_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-elf-"));
    await writeFile(join(folder, "source.c"), source);
    await writeFile(join(folder, "execute.c"), execute);
    await check(["gcc", "-O1", "-w", "-o", join(folder, "execute"), join(folder, "execute.c")]);
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  for (const [kind, flags] of [
    ["static", ["-static", "-no-pie"]],
    ["dynamic", ["-pie", "-fPIE"]],
  ] as const) {
    it(`are refused as Linux refuses them, or end by themselves or a signal (${kind})`, async () => {
      const program = join(folder, kind);
      await check(["gcc", "-O1", "-w", ...flags, "-o", program, join(folder, "source.c")]);
      const original = await readFile(program);
      const next = generator(kind.length);
      const differences: string[] = [];
      let refused = 0;
      for (let number = 0; number < count; number += 1) {
        const path = join(folder, `${kind}-${number}`);
        await writeFile(path, mutated(original, next), { mode: 0o755 });
        const native = outcome(join(folder, "execute"), [], path, patience.native);
        const wait = native === "no end" ? patience.native : patience.guest;
        const guest = outcome(join(programs, "tine-vmm"), ["--"], path, wait);
        if (native === "Exec format error") refused += 1;
        if (guest === native) await rm(path);
        else differences.push(`${number}: ${native}, but ${guest}`);
      }
      assert.deepEqual(differences, []);
      // Otherwise the mutations would have missed what matters.
      assert.ok(refused > count / 20 && refused < count / 2, `${refused} refused`);
    });
  }
});
