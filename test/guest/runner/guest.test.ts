import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 120_000;

describe("guest programs behave in a microVM as they do on Linux", function () {
  this.timeout(3 * limit);
  for (const program of guestPrograms("programs")) {
    for (const kind of program.kinds) {
      it(`${program.name} (${kind})`, async () => {
        const executable = await build(program, kind);
        const native = await runAlone([executable], limit);
        // A program that Linux itself does not satisfy proves nothing about Tine.
        assert.deepEqual(failures(native.stdout), [], "on Linux itself");
        assert.equal(native.end, "exit 0", "on Linux itself");
        const guest = await runAlone([join(programs, "tine-vmm"), "--", executable], limit);
        assert.deepEqual(failures(guest.stdout), []);
        assert.deepEqual(guest, native);
      });
    }
  }
});

function failures(stdout: string): string[] {
  return stdout.split("\n").filter((line) => line.startsWith("FAIL"));
}
