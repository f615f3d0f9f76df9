import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { runAlone } from "./run.js";

describe("the monitor's beginning", () => {
  const monitor = join(programs, "tine-vmm");

  for (const [what, next] of [
    ["a file with something to read", '9<"$1"'],
    ["a pipe with something to read", "9<&0"],
    ["nothing", "9<&-"],
  ] as const) {
    it(`is fresh where a program begins it as a descriptor, ${what} beside it`, async () => {
      const script = `printf '%01000d' 0 | { exec 8<"$1" ${next}; exec /dev/fd/8 -- /bin/sh -c 'echo begun'; }`;
      assert.deepEqual(await runAlone(["sh", "-c", script, "sh", monitor], 60_000), {
        stdout: "begun\n",
        stderr: "",
        end: "exit 0",
      });
    });
  }

  for (const [option, seen] of [
    ["--stack=unlimited", "ulimit -s"],
    ["--data=20480000:", "ulimit -d"],
    ["--as=20480000:", "ulimit -v"],
  ] as const) {
    it(`leaves the guest its limit, and keeps its own: prlimit ${option}`, async () => {
      const program = ["/bin/sh", "-c", `${seen}; ls / | grep -c .`];
      const native = await runAlone(["prlimit", option, "--", ...program], 60_000);
      assert.equal(native.end, "exit 0");
      assert.deepEqual(await runAlone(["prlimit", option, "--", monitor, "--", ...program], 60_000), native);
    });
  }
});
