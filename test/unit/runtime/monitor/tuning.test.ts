import assert from "node:assert/strict";
import { tuningOptions, tuningWithin, type Granted } from "../../../../runtime/monitor/tuning.js";

describe("what a monitor is told of its work", () => {
  const tuning = { exitless: "auto", hugePages: "auto", codeStore: 64 } as const;
  const unlimited: Granted = { quota: undefined, period: undefined, memory: undefined };

  it("is what tine.toml says", () => {
    assert.deepEqual(tuningOptions(tuning), ["--exitless=auto", "--huge-pages=auto", "--code-store=64"]);
    for (const quota of [undefined, 0n, -1n, 200_000n]) {
      assert.deepEqual(tuningWithin(tuning, { ...unlimited, quota }), tuning);
    }
  });

  it("is to serve calls with one thread where a container has less than two processors' time", () => {
    const off = { ...tuning, exitless: "off" };
    assert.deepEqual(tuningWithin(tuning, { ...unlimited, quota: 199_999n }), off);
    assert.deepEqual(tuningWithin(tuning, { ...unlimited, quota: 10_000n, period: 5_000n }), tuning);
    assert.deepEqual(tuningWithin(tuning, { ...unlimited, quota: 9_999n, period: 5_000n }), off);
  });

  it("is to spend an eighth of a container's memory limit on copies of code at most", () => {
    const stores = [
      undefined,
      0n,
      -1n,
      1n << 40n,
      512n << 20n,
      (512n << 20n) - 1n,
      64n << 20n,
      8n << 20n,
      (8n << 20n) - 1n,
      1n,
    ];
    assert.deepEqual(
      stores.map((memory) => tuningWithin(tuning, { ...unlimited, memory }).codeStore),
      [64, 64, 64, 64, 64, 63, 8, 1, 0, 0],
    );
    const none = { ...tuning, codeStore: 0 };
    assert.deepEqual(tuningWithin(none, { ...unlimited, memory: 1n << 30n }), none);
  });

  it("is not changed where somebody chose", () => {
    const chosen = { ...tuning, exitless: "on" } as const;
    assert.deepEqual(tuningWithin(chosen, { ...unlimited, quota: 1000n, period: 100_000n }), chosen);
  });
});
