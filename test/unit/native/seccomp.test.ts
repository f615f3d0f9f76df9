import assert from "node:assert/strict";
import { check } from "../../harness/command.js";
import { compileNative } from "./compile.js";

describe("the monitor's seccomp interpreter", () => {
  let program: string;

  before(async function () {
    this.timeout(120_000);
    program = await compileNative("bpf_kernel", ["seccomp/bpf.cc"]);
  });

  it("takes the programs that the kernel takes and answers what the kernel answers", async () => {
    const { stdout } = await check([program, "20260101", "3000"]);
    assert.match(stdout, /^3000 programs, \d+ taken\n$/);
  });
});
