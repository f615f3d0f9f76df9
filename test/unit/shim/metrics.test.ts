import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MetricsServer } from "../../../shim/metrics/server.js";
import { metricsText } from "../../../shim/metrics/text.js";

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

function get(socketPath: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

describe("metrics", () => {
  it("are Prometheus's text format, labels escaped", () => {
    const text = metricsText([
      { name: "one", type: "gauge", help: "Of one.", samples: [[{}, 1]] },
      {
        name: "two_total",
        type: "counter",
        help: "Of two.",
        samples: [
          [{ id: 'a"b\\c\nd', mode: "user" }, 0.5],
          [{ id: "e", mode: "user" }, 2],
        ],
      },
    ]);
    assert.equal(
      text,
      [
        "# HELP one Of one.",
        "# TYPE one gauge",
        "one 1",
        "# HELP two_total Of two.",
        "# TYPE two_total counter",
        'two_total{id="a\\"b\\\\c\\nd",mode="user"} 0.5',
        'two_total{id="e",mode="user"} 2',
        "",
      ].join("\n"),
    );
  });

  it("are served by the first of two, after its end by the other, to root alone", async function () {
    this.timeout(60_000);
    const folder = mkdtempSync(join(tmpdir(), "tine-metrics-"));
    const path = join(folder, "m.sock");
    const reports: string[] = [];
    const serverOf = (value: number): MetricsServer =>
      new MetricsServer(
        path,
        async () => [{ name: "who", type: "gauge", help: "Which.", samples: [[{}, value]] }],
        (line) => reports.push(line),
      );
    const [first, second] = [serverOf(1), serverOf(2)];
    try {
      await first.serve();
      const later = second.serve();
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.match((await get(path, "/metrics")).text, /^who 1$/m);
      assert.deepEqual(await get(path, "/elsewhere"), { status: 404, text: "see /metrics\n" });
      first.close();
      const keepAlive = setInterval(() => undefined, 1000);
      await later;
      clearInterval(keepAlive);
      assert.match((await get(path, "/metrics")).text, /^who 2$/m);
      assert.deepEqual(reports, []);
    } finally {
      first.close();
      second.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("are served by one of eight that find the socket of a daemon that was killed", async function () {
    this.timeout(60_000);
    const folder = mkdtempSync(join(tmpdir(), "tine-metrics-"));
    const path = join(folder, "m.sock");
    const listen = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    assert.equal(spawnSync(process.execPath, ["-e", listen]).signal, "SIGKILL");
    const reports: string[] = [];
    const servers = Array.from(
      { length: 8 },
      (_, value) =>
        new MetricsServer(
          path,
          async () => [{ name: "who", type: "gauge", help: "Which.", samples: [[{}, value]] }],
          (line) => reports.push(line),
        ),
    );
    let serving = 0;
    try {
      const first = servers.map((server) => server.serve().then(() => (serving += 1)));
      await Promise.race(first);
      const who = (await get(path, "/metrics")).text;
      await sleep(300);
      assert.equal(serving, 1);
      assert.equal((await get(path, "/metrics")).text, who);
      assert.deepEqual(reports, []);
    } finally {
      for (const server of servers) server.close();
      rmSync(folder, { recursive: true });
    }
  });
});
