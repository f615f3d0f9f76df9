import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { foreignArchitecture, foreignBusyboxImage, type TestImage } from "../harness/image.js";
import { qemuUser } from "../harness/translator.js";

const machine = foreignArchitecture === "arm64" ? "aarch64" : "x86_64";
const platform = ["--platform", `linux/${foreignArchitecture}`];

describe("a container of another architecture", () => {
  let containerd: PrivateContainerd;
  let ctr: Ctr;
  let image: TestImage;
  let folder: string;
  let translator: string;

  before(async function () {
    this.timeout(600_000);
    folder = await mkdtemp(join(tmpdir(), "tine-foreign-"));
    translator = await qemuUser();
    image = await foreignBusyboxImage(translator);
    await writeFile(join(folder, "tine.toml"), `[translators]\n${foreignArchitecture} = "${translator}"\n`);
    containerd = await PrivateContainerd.start({ keepImages: true });
    ctr = new Ctr(containerd);
    await ctr.check(["images", "import", ...platform, image.archive], { limit: 300_000 });
  });

  after(async () => {
    await containerd.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function run(command: readonly string[], ...flags: string[]): ReturnType<Ctr["run"]> {
    const configuration = ["--runtime-config-path", join(folder, "tine.toml")];
    return ctr.run(image, command, { flags: [...platform, ...configuration, ...flags], limit: 60_000 });
  }

  it("runs by the host's translator, with nothing of it inside", async () => {
    const script =
      'uname -m; ls /usr/bin/qemu* 2>/dev/null; for i in 1 2 3; do (echo "child $i" | cat); done; sh -c "exit 7"';
    const { status, stdout, stderr } = await run(["/bin/sh", "-c", script]);
    assert.deepEqual(
      { status, stdout, stderr },
      { status: 7, stdout: `${machine}\nchild 1\nchild 2\nchild 3\n`, stderr: "" },
    );
  });

  it("is itself to a program that asks, and its translator to others", async () => {
    const script = "readlink /proc/self/exe; (readlink /proc/1/exe; cat /proc/1/comm)";
    const { stdout } = await run(["/bin/sh", "-c", script]);
    assert.deepEqual(stdout.split("\n"), ["/bin/busybox", translator, "sh", ""]);
  });

  it("runs further programs of its own by exec", async () => {
    const id = freshId("foreign");
    const flags = [...platform, "--runtime-config-path", join(folder, "tine.toml"), "--detach"];
    await ctr.check(ctr.runArguments(image, ["sleep", "1000"], { id, flags }));
    try {
      const { status, stdout } = await ctr.capture(["tasks", "exec", "--exec-id", "e", id, "uname", "-m"]);
      assert.deepEqual({ status, stdout }, { status: 0, stdout: `${machine}\n` });
    } finally {
      await ctr.capture(["tasks", "delete", "--force", id]);
      await ctr.check(["containers", "delete", id]);
    }
  });

  it("has the strategy that its annotation names, and does not begin with an unknown one", async () => {
    for (const strategy of ["cow", "region-copy"]) {
      const { stdout } = await run(["sh", "-c", "(echo child)"], "--annotation", `io.tine.fork=${strategy}`);
      assert.equal(stdout, "child\n");
    }
    const { status, stderr } = await run(["true"], "--annotation", "io.tine.fork=copy");
    assert.match(
      stderr,
      /annotation io\.tine\.fork: "copy" is none of auto, cow, selective-cow, region-copy/,
    );
    assert.notEqual(status, 0);
  });

  it("cannot change the translator", async () => {
    // The shell's own /proc/1/exe would be busybox; a child finds the kernel's.
    const script = "(head -c 4 /proc/1/exe | tail -c 3; echo x > /proc/1/exe) 2>&1; true";
    const { stdout } = await run(["sh", "-c", script]);
    assert.match(stdout, /^ELFsh: .*\/proc\/1\/exe: Operation not permitted\n$/);
  });
});
