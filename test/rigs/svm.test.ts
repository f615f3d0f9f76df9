import assert from "node:assert/strict";
import { runBesideLinux } from "./beside-linux.js";
import { svmMachine } from "./rig.js";

// Short ones, whose outcome does not hang on what QEMU's emulator leaves out (SSE exceptions, fast timers).
const sources = ["rigs/programs/smoke", "rigs/programs/ring0", "guest/programs/signal_context"];

describe("on a host with AMD-V, programs behave in a microVM as they do on its Linux", function () {
  this.timeout(900_000);

  it("forks, executes, takes signals, runs threads", async () => {
    const { probe, programs } = await runBesideLinux(svmMachine, "build/bin/tine-vmm", sources, 600_000);
    assert.equal(probe["kvm"], "svm");
    assert.equal(probe["stub"], "supervisor");
    for (const { name, linux, guest } of programs) {
      assert.equal(linux.status, 0, `${name} on the rig's Linux:\n${linux.output}`);
      assert.deepEqual(guest, linux, name);
    }
  });
});
