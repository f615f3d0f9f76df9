import assert from "node:assert/strict";
import { percentilesOf } from "../../../../runtime/resources/figures.js";

describe("percentiles of forks", () => {
  it("are those of all processes together, each the limit of the class in which that share is reached", () => {
    const one = [
      { seconds: 0.001, count: 50 },
      { seconds: 0.004, count: 1 },
    ];
    const other = [
      { seconds: 0.002, count: 40 },
      { seconds: 0.003, count: 8 },
      { seconds: 1, count: 1 },
    ];
    assert.deepEqual(percentilesOf([...one, ...other]), { p50: 0.001, p90: 0.002, p99: 0.004 });
  });

  it("are none without forks", () => {
    assert.equal(percentilesOf([]), undefined);
  });
});
