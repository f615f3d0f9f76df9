import assert from "node:assert/strict";
import { join } from "node:path";
import { repository } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 60_000;

/** Quick ones that go through much of the monitor: each family of calls, faults, forks, execs, threads. */
const selection = [
  "clone_flags",
  "elf_kinds",
  "exec_errors",
  "exec_scripts",
  "fds",
  "files",
  "fork",
  "futex",
  "jit",
  "mm_madvise",
  "mm_mprotect",
  "mm_mremap",
  "pipes",
  "pointers",
  "scm_rights",
  "seccomp_self",
  "signal_context",
  "signal_faults",
  "sockets_unix",
  "threads",
  "vfork_spawn",
];

describe("the monitor built with sanitizers runs guest programs, and they find nothing", function () {
  this.timeout(2 * limit);
  const monitor = join(repository, "build/san/tine-vmm");
  for (const program of guestPrograms("programs").filter(({ name }) => selection.includes(name))) {
    const [kind] = program.kinds;
    if (kind === undefined) throw new Error(`${program.name} is built in no way`);
    it(`${program.name} (${kind})`, async () => {
      const executable = await build(program, kind);
      const { stdout, stderr, end } = await runAlone([monitor, "--", executable], limit);
      const failures = stdout.split("\n").filter((line) => line.startsWith("FAIL"));
      // A sanitizer's report, or the monitor's own of its end; a program may say something there by itself.
      const reports = stderr.split("\n").filter((line) => /runtime error|Sanitizer|tine-vmm\[/.test(line));
      assert.deepEqual({ failures, reports, end }, { failures: [], reports: [], end: "exit 0" });
    });
  }
});
