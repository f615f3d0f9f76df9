import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  readSystemCalls,
  systemCallPage,
  type SystemCall,
} from "../../../scripts/documentation/system-calls.js";
import { programs, repository } from "../../harness/paths.js";

describe("the monitor's system-call table", () => {
  let calls: SystemCall[];

  before(() => {
    calls = readSystemCalls(join(programs, "tine-vmm"));
  });

  it("has a row for every x86-64 call up to Linux 6.17 and for nothing else", () => {
    const expected = [...Array(335).keys(), ...Array.from({ length: 470 - 424 }, (_, index) => 424 + index)];
    assert.deepEqual(
      calls.map((call) => call.number),
      expected,
    );
  });

  it("names each call once, and gives every refused one an errno and a reason", () => {
    assert.equal(new Set(calls.map((call) => call.name)).size, calls.length);
    const refused = calls.filter((call) => call.class === "refused");
    assert.deepEqual(
      refused.filter((call) => call.errno === "" || call.note === ""),
      [],
    );
    assert.deepEqual(
      calls.filter((call) => call.class !== "refused" && call.errno !== ""),
      [],
    );
  });

  it("is what docs/syscalls.md says", () => {
    assert.equal(readFileSync(join(repository, "docs/syscalls.md"), "utf8"), systemCallPage(calls));
  });
});
