import assert from "node:assert/strict";
import { join } from "node:path";
import { programs } from "../../harness/paths.js";
import { build, guestPrograms } from "./program.js";
import { runAlone } from "./run.js";

const limit = 120_000;

/**
 * What is made, who is hit, how, and every how manieth host call of its; `FAILURES=every` in the environment: each one.
 * Primes, so that other calls come up where there are more or fewer before them.
 */
const slice: readonly (readonly [scenario: string, side: string, failure: string, step: number])[] = [
  ["fork", "child", "kill", 11],
  ["fork", "parent", "kill", 7],
  ["fork", "child", "ENOMEM", 11],
  ["fork", "parent", "ENOMEM", 11],
  ["fork", "child", "EMFILE", 1],
  ["fork", "parent", "EAGAIN", 1],
  ["fork-beside-threads", "child", "kill", 23],
  ["fork-beside-threads", "parent", "kill", 13],
  ["pidfd", "child", "EMFILE", 3],
  ["vfork", "child", "kill", 1],
  ["busy-vfork", "child", "kill", 47],
  ["sharing", "child", "kill", 2],
  ["sharing", "parent", "ENOMEM", 5],
  ["thread", "parent", "ENOMEM", 5],
  ["thread", "parent", "EMFILE", 1],
  ["spawn", "child", "kill", 37],
  ["spawn", "child", "ENOMEM", 11],
  ["exec", "parent", "kill", 37],
  ["exec", "parent", "EMFILE", 1],
  ["exec", "parent", "EAGAIN", 1],
  ["exec-beside-threads", "parent", "ENOMEM", 13],
];

const every = process.env["FAILURES"] === "every";

describe("a task or a program that the host refuses or kills half made", function () {
  this.timeout((every ? 20 : 2) * limit);
  let injector: string;
  let making: string;

  before(async () => {
    const [first, second] = guestPrograms("failures");
    assert(first?.name === "injector" && second?.name === "making");
    injector = await build(first, "dynamic");
    making = await build(second, "dynamic");
  });

  for (const strategy of ["cow", "region-copy"]) {
    for (const [scenario, side, failure, step] of slice) {
      // The others make no copies.
      if (strategy !== "cow" && !(scenario === "fork" && side === "child" && failure !== "EMFILE")) continue;
      it(`is an error or a death of Linux's, and nothing is left of it: ${scenario} by ${strategy}, ${failure} of the ${side}`, async () => {
        const monitor = [join(programs, "tine-vmm"), `--fork=${strategy}`, "--"];
        const words = [scenario, side, failure, String(every ? 1 : step)];
        const { stdout, stderr, end } = await runAlone(
          [injector, ...monitor, making, ...words],
          (every ? 20 : 1) * limit,
        );
        assert.deepEqual(
          { stdout, end },
          { stdout: "ok every point\nok a third process goes on\nok and ends\n", end: "exit 0" },
          stderr,
        );
      });
    }
  }
});
