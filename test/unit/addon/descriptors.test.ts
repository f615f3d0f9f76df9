import assert from "node:assert/strict";
import { closeSync, openSync, writeSync } from "node:fs";
import { addon } from "../../../native/addon/addon.js";
import { spawnChild } from "../../../native/addon/children.js";

describe("a look at a descriptor", () => {
  it("is not disturbed by signals that arrive meanwhile", async () => {
    const nothing = openSync("/dev/null", "r+");
    const [reading, writing] = addon.pipe();
    let signals = 0;
    const count = (): void => void (signals += 1);
    process.on("SIGUSR2", count);
    const script = `n=0; while [ $n -lt 20000 ]; do kill -USR2 ${process.pid}; n=$((n + 1)); done`;
    const sender = spawnChild({
      file: "/bin/sh",
      args: ["-c", script],
      environment: ["PATH=/usr/bin:/bin"],
      descriptors: [nothing, nothing, nothing],
    });
    try {
      let ended = false;
      void sender.exited.then(() => (ended = true));
      while (!ended) {
        for (let looks = 0; looks < 20_000; looks += 1) {
          assert.equal(addon.isReadable(reading), false);
          assert.equal(addon.hasReader(writing), true);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(signals > 0);
      writeSync(writing, "x");
      assert.equal(addon.isReadable(reading), true);
      closeSync(reading);
      assert.equal(addon.hasReader(writing), false);
    } finally {
      await sender.exited;
      // Those that are still on their way would end this process.
      await new Promise((resolve) => setTimeout(resolve, 100));
      process.off("SIGUSR2", count);
      for (const descriptor of [writing, nothing]) closeSync(descriptor);
    }
  });
});
