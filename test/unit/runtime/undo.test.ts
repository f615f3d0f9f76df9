import assert from "node:assert/strict";
import { Undo } from "../../../runtime/undo.js";

describe("taking back", () => {
  async function undone(prepare: (undo: Undo, seen: string[]) => void): Promise<string[]> {
    const seen: string[] = [];
    {
      await using undo = new Undo((line) => seen.push(line));
      prepare(undo, seen);
    }
    return seen;
  }

  it("goes from the last step to the first, and says so at the end", async () => {
    const seen = await undone((undo, seen) => {
      undo.addLast(() => void seen.push("all"));
      undo.add(() => void seen.push("first"));
      undo.add(async () => void seen.push("second"));
    });
    assert.deepEqual(seen, ["second", "first", "all"]);
  });

  it("goes on after a step that fails, but does not say that all was taken back", async () => {
    const seen = await undone((undo, seen) => {
      undo.addLast(() => void seen.push("all"));
      undo.add(() => void seen.push("first"));
      undo.add(() => Promise.reject(new Error("no")));
    });
    assert.deepEqual(seen, ["cleaning up: no", "first"]);
  });

  it("does nothing when all is well", async () => {
    const seen = await undone((undo, seen) => {
      undo.addLast(() => void seen.push("all"));
      undo.add(() => void seen.push("first"));
      undo.keep();
    });
    assert.deepEqual(seen, []);
  });
});
