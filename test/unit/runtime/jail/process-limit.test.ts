import assert from "node:assert/strict";
import {
  ROOM_FOR_MACHINES,
  updatedResources,
  withRoomForMachines,
} from "../../../../runtime/jail/process-limit.js";

describe("a container's limit of processes", () => {
  it("leaves room for the machines' own tasks", () => {
    const resources = { pids: { limit: 20 }, memory: { limit: 5 } };
    assert.deepEqual(withRoomForMachines(resources), {
      pids: { limit: 20n + ROOM_FOR_MACHINES },
      memory: { limit: 5 },
    });
  });

  it("stays away where there is none", () => {
    for (const resources of [{}, { pids: {} }, { pids: { limit: 0 } }, { pids: { limit: -1 } }]) {
      assert.deepEqual(withRoomForMachines(resources), resources);
    }
  });

  it("is the same after an update, which keeps numbers that JavaScript has not", () => {
    const update = '{"memory":{"limit":9223372036854775807},"pids":{"limit":7}}';
    const expected = '{"memory":{"limit":9223372036854775807},"pids":{"limit":11}}';
    assert.equal(Buffer.from(updatedResources(Buffer.from(update))).toString(), expected);
  });

  it("is refused where an update is no JSON", () => {
    assert.throws(() => updatedResources(Buffer.from("{")), { code: "invalid-argument" });
    assert.throws(() => updatedResources(Buffer.from("5")), { code: "invalid-argument" });
  });
});
