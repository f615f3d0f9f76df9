import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture, check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { programs } from "../harness/paths.js";

const tine = join(programs, "tine");

interface Stats {
  id: string;
  namespace: string;
  cpuSeconds: { total: number; user: number; kernel: number };
  memoryBytes: number;
  memoryLimitBytes: number;
  pids: number;
  forks: { count: number; seconds: number; copiedBytes: number; strategies: Record<string, number> } & {
    percentiles: { p50: number; p90: number; p99: number };
  };
  execs: number;
  calls: { name: string; exits: number; posted: number; seconds: number }[];
}

describe("tine stats and shim.metrics", () => {
  it("tell what a container uses, forks and calls included", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tine-stats-"));
    const socket = join(folder, "metrics.sock");
    writeFileSync(join(folder, "tine.toml"), `[shim]\nmetrics = "${socket}"\n[calls]\nexitless = "off"\n`);
    try {
      const environment = { TINE_CONFIG: join(folder, "tine.toml") };
      await using containerd = await PrivateContainerd.start({ environment });
      const ctr = new Ctr(containerd);
      const image = await busyboxImage();
      await ctr.import(image);
      const id = freshId("measured");
      // The shell forks three times and asks for its working folder eight times in one of its children, which stays.
      const script =
        "(true); (true); (for i in 1 2 3 4 5 6 7 8; do cd /tmp; done; : >/tmp/ready; while :; do sleep 1000; done) & wait";
      const flags = ["--detach", "--memory-limit", "100000000"];
      await ctr.check(ctr.runArguments(image, ["sh", "-c", script], { id, flags }));
      const exec = ["task", "exec", "--exec-id", "w", id, "sh", "-c", "until [ -e /tmp/ready ]; do :; done"];
      await ctr.check(exec);

      const [stats] = JSON.parse((await check([tine, "stats", "--calls", "--json", id])).stdout) as Stats[];
      assert.ok(stats);
      assert.deepEqual([stats.id, stats.namespace], [id, "tine-test"]);
      const { cpuSeconds, memoryBytes, memoryLimitBytes, pids, forks } = stats;
      assert.ok(cpuSeconds.total > 0 && cpuSeconds.total < 600);
      assert.ok(memoryBytes > 100_000 && memoryBytes < memoryLimitBytes);
      assert.ok(memoryLimitBytes <= 100_000_000 && memoryLimitBytes > 99_990_000);
      // One more while a child becomes `sleep`.
      assert.ok(pids >= 3, String(pids));
      assert.ok(forks.count >= 3 && forks.count <= 4, JSON.stringify(forks));
      assert.ok(forks.seconds > 0 && forks.seconds < 100);
      assert.ok((forks.strategies["cow"] ?? 0) >= 2);
      const { p50, p90, p99 } = forks.percentiles;
      assert.ok(0 < p50 && p50 <= p90 && p90 <= p99 && p99 <= forks.seconds * 1.26, JSON.stringify(forks));
      assert.equal(forks.copiedBytes, 0);
      // The child that became `sleep`, or is about to.
      assert.ok(stats.execs <= 1);
      const changes = stats.calls.find(({ name }) => name === "chdir");
      assert.deepEqual([changes?.exits, changes?.posted], [8, 0]);
      assert.ok(changes && changes.seconds > 0 && changes.seconds < 100);

      assert.match((await check([tine, "stats", id])).stdout, new RegExp(`^${id} +tine-test +\\d`, "m"));
      assert.match((await check([tine, "stats", "--calls", id])).stdout, /^chdir +8 +0 +\S+ [mµ]?s/m);

      const curl =
        "require('node:http').get({ socketPath: process.argv[1], path: '/metrics' }, (r) => r.pipe(process.stdout))";
      const metrics = (await check([process.execPath, "-e", curl, socket])).stdout;
      const labels = `namespace="tine-test",id="${id}"`;
      for (const line of [
        `tine_container_memory_limit_bytes{${labels}} ${memoryLimitBytes}`,
        `tine_container_calls{${labels},served="posted"} 0`,
        `tine_container_fork_copied_bytes{${labels}} 0`,
        'tine_daemon_containers{namespace="tine-test"} 1',
        'tine_info{version="0.1.0"} 1',
      ])
        assert.ok(metrics.split("\n").includes(line), `${line} is not in\n${metrics}`);
      // The shell that waits may have forked meanwhile.
      for (const quantile of ["0.5", "0.9", "0.99"])
        assert.match(
          metrics,
          new RegExp(
            `^tine_container_fork_quantile_seconds{${labels},quantile="${quantile}"} 0\\.\\d+$`,
            "m",
          ),
        );
      assert.match(
        metrics,
        new RegExp(`^tine_container_fork_strategy_processes{${labels},strategy="cow"} [23]$`, "m"),
      );

      await ctr.check(["task", "rm", "--force", id]);
      assert.deepEqual(await capture([tine, "stats", id]), {
        status: 125,
        stdout: "",
        stderr: `tine stats: no container "${id}" runs in Tine; tine ps lists those that do\n`,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
