import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { statisticsV1 } from "../../../../runtime/resources/statistics-v1.js";
import { statisticsV2 } from "../../../../runtime/resources/statistics-v2.js";

describe("statistics", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-group-"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const write = async (files: Record<string, string>): Promise<void> => {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(folder, name), text);
    }
  };

  it("of version 1 come from each controller's files, in nanoseconds and bytes", async () => {
    await write({
      "pids.current": "3\n",
      "pids.max": "max\n",
      "cpuacct.usage": "5000\n",
      "cpuacct.usage_percpu": "2000 3000 \n",
      "cpuacct.stat": "user 7\nsystem 2\n",
      "cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n",
      "memory.stat": "cache 10\nrss 20\npgpgin 30\nhierarchical_memory_limit 9223372036854771712\n",
      "memory.usage_in_bytes": "40\n",
      "memory.limit_in_bytes": "9223372036854771712\n",
      "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
      "blkio.throttle.io_service_bytes_recursive": "Total 0\n",
      "hugetlb.2MB.usage_in_bytes": "0\n",
      "hugetlb.2MB.max_usage_in_bytes": "8\n",
    });
    const controllers = ["pids", "cpuacct", "cpu", "memory", "blkio", "hugetlb"];
    const found = await statisticsV1(new Map(controllers.map((name) => [name, folder])));
    assert.deepEqual(
      [found.pids, found.cpu, found.memoryOomControl, found.hugetlb, found.blkio, found.rdma],
      [
        { current: 3n, limit: 0n },
        {
          usage: { total: 5000n, kernel: 20_000_000n, user: 70_000_000n, perCpu: [2000n, 3000n] },
          throttling: { periods: 1n, throttledPeriods: 2n, throttledTime: 3n },
        },
        { oomKillDisable: 0n, underOom: 0n, oomKill: 4n },
        [{ pagesize: "2MB", usage: 0n, max: 8n, failcnt: 0n }],
        { ioServiceBytesRecursive: [], ioServicedRecursive: [] },
        { current: [], limit: [] },
      ],
    );
    const { cache, rss, pgPgIn, hierarchicalMemoryLimit, usage } = found.memory;
    assert.deepEqual(
      { cache, rss, pgPgIn, hierarchicalMemoryLimit, usage },
      {
        cache: 10n,
        rss: 20n,
        pgPgIn: 30n,
        hierarchicalMemoryLimit: 9_223_372_036_854_771_712n,
        usage: { limit: 9_223_372_036_854_771_712n, usage: 40n, max: 0n, failcnt: 0n },
      },
    );
  });

  it("of version 2 come from one folder, in microseconds and bytes", async () => {
    await write({
      "pids.current": "3\n",
      "pids.max": "100\n",
      "cpu.stat": "usage_usec 9\nuser_usec 5\nsystem_usec 4\n",
      "memory.stat": "anon 10\nfile 20\nworkingset_refault_anon 1\nworkingset_refault_file 2\n",
      "memory.current": "30\n",
      "memory.max": "max\n",
      "memory.events": "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\n",
      "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
    });
    const found = await statisticsV2(new Map([["", folder]]));
    const { anon, file, workingsetRefault, usage, usageLimit } = found.memory;
    assert.deepEqual(
      [found.pids, found.cpu, found.memoryEvents, found.io, found.hugetlb],
      [
        { current: 3n, limit: 100n },
        { usageUsec: 9n, userUsec: 5n, systemUsec: 4n, nrPeriods: 0n, nrThrottled: 0n, throttledUsec: 0n },
        { low: 0n, high: 0n, max: 5n, oom: 2n, oomKill: 1n },
        { usage: [{ major: 8n, minor: 0n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n }] },
        [],
      ],
    );
    assert.deepEqual(
      [anon, file, workingsetRefault, usage, usageLimit],
      [10n, 20n, 3n, 30n, 18_446_744_073_709_551_615n],
    );
  });
});
