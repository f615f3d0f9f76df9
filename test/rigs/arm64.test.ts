import assert from "node:assert/strict";
import { runBesideLinux } from "./beside-linux.js";
import { armMachine } from "./rig.js";

const sources = ["rigs/programs/smoke", "guest/programs/signal_queue"];

describe("on an arm64 host, programs behave in a microVM as they do on its Linux", function () {
  this.timeout(900_000);

  it("forks, executes, takes signals, runs threads", async () => {
    const monitor = "build/aarch64/tine-vmm";
    const { probe, programs } = await runBesideLinux(armMachine, monitor, sources, 600_000);
    assert.equal(probe["kvm"], "arm64");
    for (const { name, linux, guest } of programs) {
      assert.equal(linux.status, 0, `${name} on the rig's Linux:\n${linux.output}`);
      assert.deepEqual(guest, linux, name);
    }
  });
});
