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

describe("a process that begins in a container", () => {
  const runc = { stat: "71 (runc:[2:INIT]) S 1 71", program: "/usr/bin/runc", commandLine: "runc\0init\0" };
  const monitor = {
    stat: "71 (3) S 1 71",
    program: "/memfd:tine-vmm (deleted)",
    commandLine: "/proc/self/fd/3\0--jailed\0--kvm-fd=4\0--\0sh\0",
  };

  it("has no machine while it is runc, or a monitor under its own name", () => {
    assert.deepEqual([runc, monitor, { ...monitor, stat: "71 (sh) S 1 71" }].map(hasMachine), [
      false,
      false,
      false,
    ]);
  });

  it("has one as soon as its command line is its program's, whatever that is called", () => {
    const named = (name: string) => ({
      ...monitor,
      stat: `71 (${name}) S 1 71`,
      commandLine: `${name}\0init\0`,
    });
    assert.deepEqual(
      ["7", "runc", "crun", "sh", "a) S (3"].map((name) => hasMachine(named(name))),
      [true, true, true, true, true],
    );
  });

  it("needs none any more when it has ended", () => {
    assert.deepEqual(
      [hasMachine({ ...monitor, stat: "71 (3) Z 1 71" }), hasMachine(undefined)],
      [true, true],
    );
  });
});
