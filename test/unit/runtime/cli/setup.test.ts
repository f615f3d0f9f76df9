import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { containerdTarget } from "../../../../runtime/cli/setup/containerd.js";
import { dockerTarget } from "../../../../runtime/cli/setup/docker.js";
import { capture, type CommandResult } from "../../../harness/command.js";
import { programs } from "../../../harness/paths.js";

describe("tine setup", () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-setup-"));
    file = join(folder, "file");
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  function setup(...args: string[]): Promise<CommandResult> {
    return capture([join(programs, "tine"), "setup", ...args, "--file", file]);
  }

  for (const [version, plugin] of [
    [2, "io.containerd.grpc.v1.cri"],
    [3, "io.containerd.cri.v1.runtime"],
  ] as const) {
    it(`adds a handler to containerd's configuration of version ${version}, once, and takes it out`, async () => {
      const before = `# mine\nversion = ${version}\n\n[plugins."${plugin}"]\n  sandbox_image = "pause"\n`;
      await writeFile(file, before, { mode: 0o640 });
      const applied = await setup("containerd", "--apply");
      assert.deepEqual(applied, {
        status: 0,
        stdout: `changed ${file}\nnext:\n  systemctl restart containerd    # containers that run go on\n`,
        stderr: "",
      });
      const text = await readFile(file, "utf8");
      assert.ok(text.startsWith(before));
      const runtimes = { tine: { runtime_type: "io.containerd.tine.v2" } };
      const plugins = { [plugin]: { sandbox_image: "pause", containerd: { runtimes } } };
      // Its tables have no prototype.
      assert.deepEqual(JSON.parse(JSON.stringify(parse(text))), { version, plugins });
      assert.equal((await stat(file)).mode & 0o777, 0o640);
      const again = await setup("containerd", "--apply");
      assert.deepEqual(again, { status: 0, stdout: `${file} has it already.\n`, stderr: "" });
      assert.equal((await setup("containerd", "--undo")).status, 0);
      assert.equal(await readFile(file, "utf8"), before);
    });
  }

  it("makes containerd's configuration where there is none, and removes it again", async () => {
    assert.equal((await setup("containerd", "--apply")).status, 0);
    assert.match(await readFile(file, "utf8"), /^version = [23]\n/);
    const undone = await setup("containerd", "--undo");
    assert.match(undone.stdout, /^removed /);
    assert.equal((await containerdTarget.plan(file, true)).files.length, 0);
  });

  it("changes nothing unless told to", async () => {
    await writeFile(file, "version = 2\n");
    const printed = await setup("containerd");
    assert.match(
      printed.stdout,
      /^# for .*\n# begin: tine[^]*runtime_type = 'io.containerd.tine.v2'\n# end: tine\n$/,
    );
    assert.equal(await readFile(file, "utf8"), "version = 2\n");
  });

  it("refuses what it cannot add to, and says what to do", async () => {
    await writeFile(file, "[plugins]\n");
    const old = await setup("containerd", "--apply");
    assert.deepEqual([old.status, old.stdout], [125, ""]);
    assert.match(old.stderr, /is of version 1; run containerd config migrate/);
    const inline = "version = 2\n[plugins]\n'io.containerd.grpc.v1.cri' = {}\n";
    await writeFile(file, inline);
    const refused = await setup("containerd", "--apply");
    assert.match(refused.stderr, /in another form; add by hand:\n# begin/);
    assert.equal(await readFile(file, "utf8"), inline);
  });

  it("adds a runtime to docker's daemon.json and keeps the rest, numbers and order included", async () => {
    const before =
      '{\n    "debug": true,\n    "runtimes": {\n        "other": {\n            "path": "/x"\n        }\n    },\n    "big": 18446744073709551615\n}\n';
    // The plan itself: which dockerd this machine has must not matter.
    await writeFile(
      file,
      before.replace(
        '"other"',
        '"tine": {\n            "runtimeType": "io.containerd.tine.v2"\n        },\n        "other"',
      ),
    );
    const { files } = await dockerTarget.plan(file, true);
    assert.deepEqual(
      files.map(({ path, after }) => [path, after]),
      [[file, before]],
    );
  });

  it("leaves the options that docker's runtime has as they are", async () => {
    const runtimes = { tine: { runtimeType: "io.containerd.tine.v2", options: { ConfigPath: "/x" } } };
    await writeFile(file, JSON.stringify({ runtimes }));
    // Where a dockerd is installed that is older than these, it is refused instead.
    const { status, stdout, stderr } = await setup("docker", "--apply");
    if (status === 0) assert.equal(stdout, `${file} has it already.\n`);
    else assert.match(stderr, /can name runtimes of containerd from docker 24.0 on/);
    assert.deepEqual(JSON.parse(await readFile(file, "utf8")), { runtimes });
  });

  it("prints a RuntimeClass", async () => {
    const { status, stdout } = await setup("kubernetes");
    assert.deepEqual(
      [status, stdout.split("\n").slice(1, 6)],
      [0, ["apiVersion: node.k8s.io/v1", "kind: RuntimeClass", "metadata:", "  name: tine", "handler: tine"]],
    );
  });

  it("names whom it can set up", async () => {
    const { status, stderr } = await capture([join(programs, "tine"), "setup", "podman"]);
    assert.equal(status, 125);
    assert.match(stderr, /^tine setup: cannot set up "podman", only containerd, docker, kubernetes\nusage: /);
  });
});
