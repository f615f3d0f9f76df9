import assert from "node:assert/strict";
import { tuningOptions, tuningWithin } from "../../../../runtime/monitor/tuning.js";

describe("what a monitor is told of its work", () => {
  const tuning = { exitless: "auto", hugePages: "auto" } as const;

  it("is what tine.toml says", () => {
    assert.deepEqual(tuningOptions(tuning), ["--exitless=auto", "--huge-pages=auto"]);
    for (const quota of [undefined, 0n, -1n, 200_000n]) {
      assert.deepEqual(tuningWithin(tuning, quota, undefined), tuning);
    }
  });

  it("is to serve calls with one thread where a container has less than two processors' time", () => {
    assert.deepEqual(tuningWithin(tuning, 199_999n, undefined), { ...tuning, exitless: "off" });
    assert.deepEqual(tuningWithin(tuning, 10_000n, 5_000n), tuning);
    assert.deepEqual(tuningWithin(tuning, 9_999n, 5_000n), { ...tuning, exitless: "off" });
  });

  it("is not changed where somebody chose", () => {
    const chosen = { ...tuning, exitless: "on" } as const;
    assert.deepEqual(tuningWithin(chosen, 1000n, 100_000n), chosen);
  });
});
