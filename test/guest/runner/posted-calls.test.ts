import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 60_000;

describe("calls that every thread posts, whatever else runs, are like those that leave the machine", function () {
  this.timeout(2 * limit);
  for (const name of ["posted_calls", "signal_running"]) {
    it(name, async () => {
      const program = guestPrograms("programs").find((one) => one.name === name);
      assert.ok(program);
      const executable = await build(program, "dynamic");
      const { stdout, stderr, end } = await runAlone(
        [join(programs, "tine-vmm"), "--exitless=on", "--", executable],
        limit,
      );
      const notOk = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("ok "));
      assert.deepEqual({ notOk, stderr, end }, { notOk: [], stderr: "", end: "exit 0" });
    });
  }
});
