import assert from "node:assert/strict";
import { mkdtemp, readlink, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { PrivateDocker } from "../harness/docker.js";
import { busyboxImage } from "../harness/image.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { programs } from "../harness/paths.js";
import { sections } from "../matrix/cases/index.js";
import { runCase, type Side } from "../matrix/side.js";

const busybox = "tine.test/busybox:quick";

/** A docker whose containers all run as one runtime's, from its network to its images. */
class Stack {
  private constructor(
    readonly side: Side,
    private readonly parts: readonly AsyncDisposable[],
  ) {}

  /** @param shimFolder what containerd finds `containerd-shim-runc-v2` in first */
  static async start(shimFolder: string | undefined): Promise<Stack> {
    const network = await NetworkNamespace.create();
    const shimFolders = shimFolder === undefined ? [] : [shimFolder];
    const containerd = await PrivateContainerd.start({ network, shimFolders });
    const docker = await PrivateDocker.start(containerd, network);
    await docker.import(await busyboxImage(), busybox);
    const side: Side = {
      client: "docker",
      command: docker.command(),
      runtime: "runc",
      busybox,
      debian: busybox,
      network: network.command(),
    };
    return new Stack(side, [docker, containerd, network]);
  }

  async stop(): Promise<void> {
    for (const part of this.parts) await part[Symbol.asyncDispose]();
  }
}

/**
 * Debian's docker, of which old versions refuse names with dots: there the shim is reached by the name of
 * runc's, in a folder that comes first in the PATH of a containerd.
 */
describe("docker gives over Tine what it gives over runc:", () => {
  let folder: string;
  let runc: Stack;
  let tine: Stack;

  before(async function () {
    this.timeout(300_000);
    folder = await mkdtemp(join(tmpdir(), "tine-d-"));
    await symlink(join(programs, "containerd-shim-tine-v2"), join(folder, "containerd-shim-runc-v2"));
    [runc, tine] = await Promise.all([Stack.start(undefined), Stack.start(folder)]);
  });

  after(async function () {
    this.timeout(240_000);
    await Promise.all([runc.stop(), tine.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  it("(its processes are monitors)", async () => {
    await check([...tine.side.command, "run", "--detach", "--name", "looked-at", busybox, "sleep", "1000"]);
    const inspect = [...tine.side.command, "inspect", "--format", "{{.State.Pid}}", "looked-at"];
    const pid = (await check(inspect)).stdout.trim();
    assert.match(await readlink(`/proc/${pid}/exe`), /memfd:tine-vmm/);
    await check([...tine.side.command, "rm", "--force", "looked-at"]);
  });

  for (const testCase of Object.values(sections).flat()) {
    if (!testCase.quick || testCase.clients?.includes("docker") === false) continue;
    it(testCase.title, async () => {
      const [expected, actual] = await Promise.all([
        runCase(testCase, runc.side, await mkdtemp(join(folder, "r-"))),
        runCase(testCase, tine.side, await mkdtemp(join(folder, "t-"))),
      ]);
      assert.deepEqual(actual, expected);
    });
  }
});
