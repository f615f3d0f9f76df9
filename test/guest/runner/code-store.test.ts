import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 60_000;

/** `--code-store`: no copies; more code than there is room for. */
const sizes = [0, 1];

describe("copies of code that processes share", function () {
  this.timeout(2 * limit);
  it("change nothing that a program sees, none or as many as there is room for", async () => {
    const program = guestPrograms("programs").find(({ name }) => name === "code_store");
    assert.ok(program);
    const executable = await build(program, "dynamic");
    const monitor = join(programs, "tine-vmm");
    // Most of the time the program waits for its files to settle.
    const outcomes = await Promise.all(
      sizes.map((size) => runAlone([monitor, `--code-store=${size}`, "--", executable], limit)),
    );
    for (const { stdout, stderr, end } of outcomes) {
      const notOk = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("ok "));
      assert.deepEqual({ notOk, stderr, end }, { notOk: [], stderr: "", end: "exit 0" });
    }
  });
});
