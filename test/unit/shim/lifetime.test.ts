import assert from "node:assert/strict";
import { Lifetime } from "../../../shim/lifetime.js";

describe("a daemon's lifetime", () => {
  it("ends at once when asked and idle, and only once", () => {
    let left = 0;
    const lifetime = new Lifetime(
      () => true,
      () => (left += 1),
    );
    lifetime.endIfIdle();
    lifetime.endIfIdle();
    assert.deepEqual([left, lifetime.isOver], [1, true]);
  });

  it("does not end while there are containers, whoever asks", () => {
    let left = 0;
    const lifetime = new Lifetime(
      () => false,
      () => (left += 1),
    );
    lifetime.endIfIdle();
    lifetime.reconsider();
    assert.deepEqual([left, lifetime.isOver], [0, false]);
  });

  it("refuses to be held once it is decided", () => {
    let idle = false;
    const lifetime = new Lifetime(
      () => idle,
      () => undefined,
    );
    assert.equal(lifetime.hold(), true);
    idle = true;
    lifetime.endIfIdle();
    assert.equal(lifetime.hold(), false);
  });
});
