import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { capture, type CommandOptions, type CommandResult } from "../harness/command.js";
import { busyboxImage, unpackImage } from "../harness/image.js";
import { programs } from "../harness/paths.js";

const tine = join(programs, "tine");

function run(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return capture([tine, "do", ...args], { limit: 60_000, ...options });
}

/** A shell that runs `tine do`, for what only a shell can set up. */
function inShell(script: string): Promise<CommandResult> {
  return capture(["sh", "-c", script, tine], { limit: 60_000 });
}

describe("tine do", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-do-"));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it("hands standard input to the program, and its output and errors back, each on its own", async () => {
    const result = await run(["--", "sh", "-c", "tr a-z A-Z; echo problem >&2"], { input: "some text\n" });
    assert.deepEqual(result, { status: 0, stdout: "SOME TEXT\n", stderr: "problem\n" });
  });

  for (const [script, status] of [
    ["exit 0", 0],
    ["exit 7", 7],
    ["kill -TERM $$", 143],
    ["kill -KILL $$", 137],
    ["kill -SEGV $$", 139],
  ] as const) {
    it(`gives the program's status: ${script}`, async () => {
      assert.deepEqual(await run(["--", "sh", "-c", script]), { status, stdout: "", stderr: "" });
    });
  }

  it("takes the program's own options for the program's", async () => {
    assert.deepEqual(await run(["echo", "--env", "--", "-n"]), {
      status: 0,
      stdout: "--env -- -n\n",
      stderr: "",
    });
  });

  it("sets and takes out variables, and adds none of its own", async () => {
    const environment = { PATH: "/usr/bin:/bin", KEPT: "1", OUT: "2" };
    const result = await run(["--env", "SET=a=b", "--env=EMPTY=", "--env", "OUT", "--", "env"], {
      environment,
    });
    const lines = result.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("PWD="));
    assert.deepEqual(lines.sort(), ["EMPTY=", "KEPT=1", "PATH=/usr/bin:/bin", "SET=a=b"]);
  });

  it("starts in the caller's folder, or in the one that --cwd names", async () => {
    assert.deepEqual(await run(["--", "/bin/pwd"], { directory: folder }), {
      status: 0,
      stdout: `${folder}\n`,
      stderr: "",
    });
    assert.deepEqual(await run(["--cwd", folder, "--", "/bin/pwd"]), {
      status: 0,
      stdout: `${folder}\n`,
      stderr: "",
    });
  });

  it("runs a program of another root, with that root's files", async () => {
    await unpackImage(await busyboxImage(), folder);
    const result = await run([
      "--root",
      folder,
      "--cwd=/etc",
      "--",
      "sh",
      "-c",
      "pwd; ls /; head -n 1 passwd",
    ]);
    assert.deepEqual(result, {
      status: 0,
      stdout: "/etc\nbin\ndev\netc\nproc\nroot\nsbin\nsys\ntmp\nusr\nvar\nroot:x:0:0:root:/root:/bin/sh\n",
      stderr: "",
    });
  });

  it("lets signals reach the program", async () => {
    const child = spawn(tine, [
      "do",
      "--",
      "sh",
      "-c",
      "trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.05; done",
    ]);
    const output = text(child.stdout);
    child.stdout.once("data", () => child.kill("SIGUSR1"));
    const status = await new Promise((resolve) => child.once("exit", resolve));
    assert.deepEqual([status, await output], [3, "ready\ngot\n"]);
  });

  it("keeps a signal ignored that the caller ignores", async () => {
    const result = await inShell(`trap '' HUP; exec "$0" do -- sh -c 'kill -HUP $$; echo alive'`);
    assert.deepEqual(result, { status: 0, stdout: "alive\n", stderr: "" });
  });

  it("lets a program die of a closed pipe, though Node ignores SIGPIPE", async () => {
    const result = await inShell(`{ "$0" do -- sh -c 'yes; echo survived >&2'; echo $? >&2; } | head -n 1`);
    assert.deepEqual(result, { status: 0, stdout: "y\n", stderr: "survived\n0\n" });
  });

  it("keeps the caller's limits on descriptors, though Node raises them", async () => {
    const result = await inShell(`ulimit -Sn 512; exec "$0" do -- sh -c 'ulimit -Sn; ulimit -Hn'`);
    const hard = (await capture(["sh", "-c", "ulimit -Hn"])).stdout;
    assert.deepEqual(result, { status: 0, stdout: `512\n${hard}`, stderr: "" });
  });

  for (const limit of [600, 1200, 2048, 4096, 8192]) {
    it(`runs where the hard limit on descriptors is ${limit}`, async () => {
      const script = `ulimit -n ${limit}; exec "$0" do -- bash -c '
        ulimit -Hn; exec 500>/dev/null; (echo in a child); ls /proc/self/fd | grep -c 500; ulimit -Sn 40; ulimit -Sn'`;
      const result = await capture(["bash", "-c", script, tine], { limit: 60_000 });
      assert.deepEqual(result, { status: 0, stdout: `${limit}\nin a child\n1\n40\n`, stderr: "" });
    });
  }

  it("hands further descriptors on to the program", async () => {
    const seen =
      "for n in 3 4 5 6 10 11 12 13; do [ -e /proc/self/fd/$n ] && echo $n; done; cat <&4; cat <&12";
    const script = `exec "$0" do -- bash -c '${seen}' 4<<<"in four" 12<<<"in twelve"`;
    const result = await capture(["bash", "-c", script, tine], { limit: 60_000 });
    assert.deepEqual(result, { status: 0, stdout: "4\n12\nin four\nin twelve\n", stderr: "" });
  });

  it("says 127 of a program that is not there and 126 of one that cannot be executed", async () => {
    const plain = join(folder, "plain");
    await writeFile(plain, "text", { mode: 0o644 });
    const missing = await run(["--", "no-such-program"]);
    const forbidden = await run(["--", plain]);
    assert.deepEqual(
      [missing.status, missing.stdout, forbidden.status, forbidden.stdout],
      [127, "", 126, ""],
    );
    assert.match(missing.stderr, /no-such-program/);
    assert.match(forbidden.stderr, /plain/);
  });

  it("refuses a strategy of fork that it does not know", async () => {
    const result = await run(["--fork", "copy", "--", "true"]);
    assert.deepEqual(
      [result.status, result.stderr.split("\n")[0]],
      [125, "tine do: --fork copy is none of auto, cow, selective-cow, region-copy"],
    );
  });
});
