import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 60_000;

describe("copies of code that processes share change nothing that a program sees", function () {
  this.timeout(2 * limit);
  for (const [size, words] of [
    [0, "without any"],
    [1, "with more code than there is room for"],
  ] as const) {
    it(words, async () => {
      const program = guestPrograms("programs").find(({ name }) => name === "code_store");
      assert.ok(program);
      const executable = await build(program, "dynamic");
      const monitor = join(programs, "tine-vmm");
      const { stdout, stderr, end } = await runAlone(
        [monitor, `--code-store=${size}`, "--", executable],
        limit,
      );
      const notOk = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("ok "));
      assert.deepEqual({ notOk, stderr, end }, { notOk: [], stderr: "", end: "exit 0" });
    });
  }
});
