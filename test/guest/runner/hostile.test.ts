import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 180_000;

describe("hostile guest programs meet errors and signals, never the host", function () {
  this.timeout(2 * limit);
  for (const program of guestPrograms("hostile")) {
    for (const kind of program.kinds) {
      it(`${program.name} (${kind})`, async () => {
        const executable = await build(program, kind);
        const guest = await runAlone([join(programs, "tine-vmm"), "--", executable], limit);
        const failures = guest.stdout.split("\n").filter((line) => line.startsWith("FAIL"));
        assert.deepEqual(failures, []);
        assert.equal(guest.end, "exit 0");
      });
    }
  }
});
