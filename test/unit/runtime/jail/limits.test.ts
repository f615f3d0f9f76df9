import assert from "node:assert/strict";
import { jailLimits, type InheritedLimits } from "../../../../runtime/jail/limits.js";

const UNLIMITED = 18_446_744_073_709_551_615n;

function inherited(mayRaise: boolean): InheritedLimits {
  return {
    stack: { soft: 8_388_608n, hard: UNLIMITED },
    descriptors: { soft: 1024n, hard: 20_000n },
    addressSpace: { soft: UNLIMITED, hard: UNLIMITED },
    data: { soft: UNLIMITED, hard: UNLIMITED },
    mayRaise,
  };
}

function descriptors(soft: bigint, hard: bigint, mayRaise: boolean) {
  const asked = [{ type: "RLIMIT_NOFILE", soft, hard }];
  const { rlimits, monitorOptions } = jailLimits(asked, inherited(mayRaise));
  return {
    limit: rlimits.find(({ type }) => type === "RLIMIT_NOFILE"),
    option: monitorOptions.find((option) => option.startsWith("--rlimit-nofile=")),
  };
}

describe("a process's limits in the jail", () => {
  it("give the monitor a stack of 8 MiB and tell it the guest's", () => {
    const cases = [
      { soft: UNLIMITED, hard: UNLIMITED, set: { soft: 8_388_608n, hard: UNLIMITED } },
      { soft: 65_536n, hard: 65_536n, set: { soft: 8_388_608n, hard: 8_388_608n } },
    ];
    for (const { soft, hard, set } of cases) {
      assert.deepEqual(jailLimits([{ type: "RLIMIT_STACK", soft, hard }], inherited(true)), {
        rlimits: [{ type: "RLIMIT_STACK", ...set }],
        monitorOptions: [`--rlimit-stack=${soft}:${hard}`],
      });
    }
  });

  it("give the guest what it would inherit when nothing is said", () => {
    assert.deepEqual(jailLimits(undefined, inherited(false)), {
      rlimits: [{ type: "RLIMIT_STACK", soft: 8_388_608n, hard: UNLIMITED }],
      monitorOptions: [`--rlimit-stack=8388608:${UNLIMITED}`],
    });
  });

  it("give the monitor 4096 descriptors more than the guest", () => {
    assert.deepEqual(descriptors(100n, 200n, false), {
      limit: { type: "RLIMIT_NOFILE", soft: 4296n, hard: 4296n },
      option: "--rlimit-nofile=100:200",
    });
  });

  it("give it as many more as may be had without the right to raise", () => {
    assert.equal(descriptors(4000n, 19_000n, false).limit?.["hard"], 20_000n);
    assert.equal(descriptors(4000n, 19_000n, true).limit?.["hard"], 23_096n);
  });

  it("leave a limit that cannot be set for runc to refuse", () => {
    assert.equal(descriptors(30_000n, 30_000n, false).limit?.["hard"], 30_000n);
  });

  it("on memory are the guest's alone", () => {
    const asked = [
      { type: "RLIMIT_DATA", soft: 1000n, hard: 2000n },
      { type: "RLIMIT_AS", soft: 3000n, hard: UNLIMITED },
    ];
    assert.deepEqual(jailLimits(asked, inherited(false)), {
      rlimits: [{ type: "RLIMIT_STACK", soft: 8_388_608n, hard: UNLIMITED }],
      monitorOptions: [
        `--rlimit-stack=8388608:${UNLIMITED}`,
        `--rlimit-as=3000:${UNLIMITED}`,
        "--rlimit-data=1000:2000",
      ],
    });
  });

  it("on memory that would be inherited are lifted from the monitor as far as may be", () => {
    const limits = { ...inherited(false), data: { soft: 1000n, hard: 5000n } };
    assert.deepEqual(jailLimits(undefined, limits).rlimits[1], {
      type: "RLIMIT_DATA",
      soft: 5000n,
      hard: 5000n,
    });
    assert.deepEqual(jailLimits(undefined, { ...limits, mayRaise: true }).rlimits[1], {
      type: "RLIMIT_DATA",
      soft: UNLIMITED,
      hard: UNLIMITED,
    });
    assert.deepEqual(jailLimits(undefined, limits).monitorOptions[1], "--rlimit-data=1000:5000");
  });

  it("do not wrap around at no limit at all", () => {
    assert.equal(descriptors(UNLIMITED, UNLIMITED, true).limit?.["hard"], UNLIMITED);
  });
});
