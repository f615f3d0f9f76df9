import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture } from "../harness/command.js";
import { programs } from "../harness/paths.js";

const tine = join(programs, "tine");

interface Report {
  version: string;
  healthy: boolean;
  findings: { name: string; state: string; found: string; remedy?: string }[];
}

describe("the tine command", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tine-command-"));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("works through a symbolic link, from any folder", async () => {
    symlinkSync(tine, join(folder, "t"));
    const result = await capture([join(folder, "t"), "--version"], { directory: "/" });
    assert.deepEqual(result, { status: 0, stdout: "tine 0.1.0\n", stderr: "" });
  });

  it("names an unknown command and exits with 125", async () => {
    assert.deepEqual(await capture([tine, "dance"]), {
      status: 125,
      stdout: "",
      stderr: 'tine: no command "dance"; see tine --help\n',
    });
  });

  it("says how do is used when no program is given", async () => {
    const result = await capture([tine, "do", "--env", "A=B"]);
    assert.deepEqual(result, {
      status: 125,
      stdout: "",
      stderr:
        "tine do: no program given\nusage: tine do [--root DIR] [--env K=V] [--cwd DIR] [--fork S] -- PROG ARGS…\n",
    });
  });

  it("finds this machine fit: doctor exits with 0 and every finding that is not ok has a remedy", async () => {
    const result = await capture([tine, "doctor", "--json"]);
    const report = JSON.parse(result.stdout) as Report;
    assert.deepEqual(
      [
        result.status,
        result.stderr,
        report.healthy,
        report.findings.filter(({ state }) => state === "broken"),
      ],
      [0, "", true, []],
    );
    const names = new Set(report.findings.map(({ name }) => name));
    for (const name of [
      "node",
      "settings",
      "kvm",
      "stub",
      "calls",
      "clock",
      "runc",
      "cgroup",
      "containerd",
      "shim",
      "huge-pages",
      "descriptors",
    ]) {
      assert.ok(names.has(name), `no finding ${name}`);
    }
    for (const finding of report.findings)
      assert.equal(finding.remedy === undefined, finding.state === "ok", finding.name);
  });

  it("calls a bad tine.toml and a missing runc broken, with exit status 1", async () => {
    const settings = join(folder, "tine.toml");
    writeFileSync(settings, `[runtime]\nrunc = "/nowhere/runc"\n`);
    const missing = await capture([tine, "doctor"], {
      environment: { ...process.env, TINE_CONFIG: settings },
    });
    assert.equal(missing.status, 1);
    assert.match(missing.stdout, /^broken {3}runc +\/nowhere\/runc is not found\n +remedy: /m);

    writeFileSync(settings, `[runtime]\nrun = "/nowhere/runc"\n`);
    const unknown = await capture([tine, "doctor"], {
      environment: { ...process.env, TINE_CONFIG: settings },
    });
    assert.equal(unknown.status, 1);
    assert.ok(
      unknown.stdout.includes(`${settings}:2: runtime.run: no such key; [runtime] has runc, root`),
      unknown.stdout,
    );
  });

  it("warns of an old runc", async () => {
    const runc = join(folder, "runc");
    writeFileSync(runc, "#!/bin/sh\necho runc version 1.0.3\n");
    chmodSync(runc, 0o755);
    const settings = join(folder, "tine.toml");
    writeFileSync(settings, `[runtime]\nrunc = "${runc}"\n`);
    const { stdout } = await capture([tine, "doctor"], {
      environment: { ...process.env, TINE_CONFIG: settings },
    });
    assert.match(stdout, /^warning {2}runc +\S+ is 1\.0\.3\n +remedy: /m);
  });
});
