import assert from "node:assert/strict";
import type { Child, Exit } from "../../../native/addon/children.js";
import { Process, PROCESS_STATES, type ProcessEvent, type ProcessState } from "../../../runtime/process.js";

const exit: Exit = { status: 3, signal: null, at: 1000 };

/** A child whose signals are recorded, and whose exit the test decides. */
function child(sent: number[], failure?: string): Child {
  return {
    pid: 42,
    exited: new Promise(() => undefined),
    signal: (number) => {
      if (failure !== undefined) throw Object.assign(new Error(failure), { code: failure });
      sent.push(number);
    },
  };
}

describe("a process's state table", () => {
  const every: ProcessEvent[] = ["start", "started", "refused", "exited", "delete"];
  const expected: Record<ProcessState, Partial<Record<ProcessEvent, ProcessState>>> = {
    created: { start: "starting", exited: "stopped", delete: "deleted" },
    starting: { started: "running", refused: "created", exited: "stopped" },
    running: { exited: "stopped" },
    stopped: { delete: "deleted" },
    deleted: {},
  };

  for (const [state, moves] of Object.entries(expected) as [
    ProcessState,
    (typeof expected)[ProcessState],
  ][]) {
    it(`knows from ${state}: ${Object.keys(moves).join(", ") || "nothing"}`, () => {
      const found = Object.fromEntries(
        every.flatMap((event) => {
          const next = PROCESS_STATES[state][event];
          return next === undefined ? [] : [[event, next]];
        }),
      );
      assert.deepEqual(found, moves);
    });
  }
});

describe("a process", () => {
  it("refuses what its state does not know, and stays as it was", () => {
    const process = new Process("e");
    assert.throws(() => process.fire("started"), {
      code: "invalid-transition",
      message: "cannot started a created process",
    });
    assert.equal(process.state, "created");
  });

  it("releases whoever waits when it ends, and whoever comes later", async () => {
    const process = new Process("e");
    const before = process.stopped;
    process.end(exit);
    assert.deepEqual([await before, await process.stopped, process.exit], [exit, exit, exit]);
  });

  it("takes no signal before it exists", () => {
    assert.throws(() => new Process("e").signal(15), {
      code: "failed-precondition",
      message: "process not created",
    });
  });

  it("passes a signal to the real process", () => {
    const sent: number[] = [];
    const process = new Process("");
    process.adopt(child(sent));
    process.signal(15);
    assert.deepEqual([process.pid, sent], [42, [15]]);
  });

  it("is not found by a signal once it is over, or turns out to be", () => {
    const ended = new Process("");
    ended.adopt(child([]));
    ended.end(exit);
    const ending = new Process("");
    ending.adopt(child([], "ESRCH"));
    for (const process of [ended, ending]) {
      assert.throws(() => process.signal(9), { code: "not-found", message: "process already finished" });
    }
  });

  it("calls a signal that there is not an invalid argument", () => {
    const process = new Process("");
    process.adopt(child([], "EINVAL"));
    assert.throws(() => process.signal(200), { code: "invalid-argument" });
  });
});
