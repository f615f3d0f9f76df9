import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { giveRoomToBegin, hasMachine } from "../../../../runtime/resources/room-to-begin.js";

describe("room to begin in a full group", () => {
  let group: string;

  beforeEach(async () => {
    group = await mkdtemp(join(tmpdir(), "tine-room-"));
  });

  afterEach(() => rm(group, { recursive: true, force: true }));

  async function limits(max: string, current: number): Promise<void> {
    await writeFile(join(group, "pids.max"), `${max}\n`);
    await writeFile(join(group, "pids.current"), `${current}\n`);
  }

  /** What a process that begins at its `looks`th look sees of the limit. */
  async function seenBy(looks: number, change?: () => Promise<void>): Promise<string[]> {
    const seen: Promise<string>[] = [];
    await giveRoomToBegin(group, () => {
      seen.push(readFile(join(group, "pids.max"), "utf8"));
      if (seen.length === 2) void change?.();
      return seen.length > looks;
    });
    return Promise.all(seen);
  }

  const limit = () => readFile(join(group, "pids.max"), "utf8");

  it("is given until the process has begun, and taken back", async () => {
    await limits("12", 12);
    assert.deepEqual(await seenBy(2), ["12\n", "15", "15"]);
    assert.equal(await limit(), "12");
  });

  it("is not needed where there is plenty, or no limit", async () => {
    for (const [max, current] of [
      ["20", 12],
      ["max", 5000],
    ] as const) {
      await limits(max, current);
      assert.deepEqual(await seenBy(2), []);
      assert.equal(await limit(), `${max}\n`);
    }
  });

  it("grows as others take it, as far as it may", async () => {
    await limits("12", 12);
    const others = (current: number) => () => writeFile(join(group, "pids.current"), String(current));
    assert.deepEqual((await seenBy(40, others(15))).at(-1), "18");
    await limits("12", 12);
    assert.deepEqual((await seenBy(40, others(60))).at(-1), "15");
    assert.equal(await limit(), "12");
  });

  it("leaves a limit that a client sets meanwhile", async () => {
    await limits("12", 12);
    await seenBy(40, () => writeFile(join(group, "pids.max"), "100"));
    assert.equal(await limit(), "100");
  });
});

describe("a monitor's name", () => {
  it("tells whether its machine is made", () => {
    const of = (name: string, state = "S") => hasMachine(`71 (${name}) ${state} 1 71 71 0 -1`);
    assert.deepEqual(
      ["runc:[2:INIT]", "3", "memfd:tine-vmm", "sh", "a) S (3", "bomb 3"].map((name) => of(name)),
      [false, false, false, true, true, true],
    );
    assert.deepEqual([of("3", "Z"), hasMachine(undefined)], [true, true]);
  });
});
