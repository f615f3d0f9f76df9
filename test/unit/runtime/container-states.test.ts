import assert from "node:assert/strict";
import { CONTAINER_STATES } from "../../../runtime/container.js";
import { StateMachine } from "../../../runtime/state-table.js";

describe("a container's state table", () => {
  it("is this, and nothing else", () => {
    assert.deepEqual(CONTAINER_STATES, {
      created: { start: "running", stop: "stopped", delete: "deleted" },
      running: { pause: "pausing", stop: "stopped" },
      pausing: { paused: "paused", resumed: "running", stop: "stopped" },
      paused: { resume: "resuming", stop: "stopped" },
      resuming: { resumed: "running", paused: "paused", stop: "stopped" },
      stopped: { delete: "deleted" },
      deleted: {},
    });
  });

  it("lets a container stop from every state in which it lives", () => {
    const living = ["created", "running", "pausing", "paused", "resuming"] as const;
    assert.deepEqual(
      living.map((state) => CONTAINER_STATES[state].stop),
      living.map(() => "stopped"),
    );
  });

  it("leads back when a pause or a resume fails", () => {
    const machine = new StateMachine(CONTAINER_STATES, "running", (step, state) => `${step} ${state}`);
    const seen = (["pause", "resumed", "pause", "paused", "resume", "paused"] as const).map((step) =>
      machine.fire(step),
    );
    assert.deepEqual(seen, ["pausing", "running", "pausing", "paused", "resuming", "paused"]);
  });
});
