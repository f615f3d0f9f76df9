import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../../harness/command.js";
import { foreignArchitecture } from "../../harness/image.js";
import { programs, repository } from "../../harness/paths.js";
import { crossCompile, qemuUser } from "../../harness/translator.js";
import { build, guestPrograms } from "./program.js";
import { runAlone, type Outcome } from "./run.js";

const limit = 60_000;
const strategies = ["cow", "selective-cow", "region-copy"] as const;

/** What forks and looks at its memory; `guest.test.ts` runs them under the default strategy. */
const forking = ["fork_kinds", "fork_memory", "jit", "mm_madvise"];

/** Lines of processes that run at once come in any order. */
function sorted({ stdout, ...rest }: Outcome): Outcome {
  return { stdout: stdout.split("\n").sort().join("\n"), ...rest };
}

/** A program for the stand-in translator (test/guest/translator/toy.c), with an ELF header that is LoongArch's. */
function toyProgram(...instructions: readonly [string, number?][]): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(258, 18);
  const code = instructions.map(([letter, value = 0]) =>
    Buffer.from([letter.charCodeAt(0), value & 0xff, value >> 8, 0]),
  );
  return Buffer.concat([header, ...code]);
}

describe("a fork", function () {
  this.timeout(4 * limit);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-fork-"));
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  for (const strategy of strategies) {
    for (const program of guestPrograms("programs").filter(({ name }) => forking.includes(name))) {
      it(`gives the child its memory by ${strategy}: ${program.name}`, async () => {
        const executable = await build(program, "dynamic");
        const native = await runAlone([executable], limit);
        assert.equal(native.end, "exit 0");
        const vmm = join(programs, "tine-vmm");
        assert.deepEqual(await runAlone([vmm, `--fork=${strategy}`, "--", executable], limit), native);
      });
    }
  }

  describe("of a program for another processor", () => {
    let translator: string;
    let executable: string;
    let native: Outcome;

    before(async () => {
      translator = await qemuUser();
      executable = join(folder, "fork_memory");
      await crossCompile(join(repository, "test/guest/programs/fork_memory.c"), executable);
      native = await runAlone([translator, executable, "translated"], limit);
      assert.equal(native.end, "exit 0");
      await writeFile(join(folder, "qemu.toml"), `[translators]\n${foreignArchitecture} = "${translator}"\n`);
    });

    for (const strategy of ["auto", ...strategies]) {
      it(`gives the child its memory by ${strategy}, under qemu-user`, async () => {
        const command = [join(programs, "tine"), "do", "--fork", strategy, "--", executable, "translated"];
        const environment = { TINE_CONFIG: join(folder, "qemu.toml") };
        assert.deepEqual(await runAlone(command, limit, environment), native);
      });
    }
  });

  describe("of a translator with state of its own", () => {
    const loop: [string, number?][] = [
      ["A", 100],
      ["S", 7],
      ["A", 3],
      ["L", 200],
    ];
    const forks: [string, number?][] = [["F"], ["A", 10], ["F"], ["S", 1], ["L", 20]];
    const ending: [string, number?][] = [["W"], ["W"], ["P"], ["E"]];

    before(async () => {
      const source = join(repository, "test/guest/translator/toy.c");
      const flags = [
        "-O2",
        "-std=gnu17",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pthread",
        "-static",
      ];
      await check(["gcc", ...flags, "-o", join(folder, "toy"), source], { limit });
      await writeFile(join(folder, "program"), toyProgram(...loop, ...forks, ...ending), { mode: 0o755 });
      await writeFile(join(folder, "toy.toml"), `[translators]\nloong64 = "${join(folder, "toy")}"\n`);
    });

    for (const strategy of ["auto", ...strategies]) {
      it(`never shows it another process's writes, or an update half made, by ${strategy}`, async () => {
        const command = [join(programs, "tine"), "do", "--fork", strategy, "--", join(folder, "program")];
        const result = await runAlone(command, limit, { TINE_CONFIG: join(folder, "toy.toml") });
        // (100 - 7 + 3) * 200, + 10, - 1, and the five instructions twenty times; a child's is higher by its forks.
        const total = 96 * 200 + 9 + 105 * 19;
        assert.deepEqual(sorted(result), {
          stdout: ["", `${total}`, `${total + 1} child`, `${total + 1} child`, `${total + 2} child`].join(
            "\n",
          ),
          stderr: "",
          end: "exit 0",
        });
      });
    }
  });
});
