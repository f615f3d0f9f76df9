import assert from "node:assert/strict";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage, type TestImage } from "../harness/image.js";
import { nothing, remainsOf } from "./remains.js";

const prefix = `full-${process.pid}`;

describe("with the disk of its bundles full", () => {
  let image: TestImage;
  let disk: string;
  let before: string | undefined;
  let containerd: PrivateContainerd;
  let ctr: Ctr;

  beforeEach(async function () {
    this.timeout(300_000);
    image = await busyboxImage();
    disk = await mkdtemp(join(tmpdir(), "tine-d-"));
    await check(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
    before = process.env["TMPDIR"];
    process.env["TMPDIR"] = disk;
    // State on the small disk, content in the cache.
    containerd = await PrivateContainerd.start({ keepImages: true });
    ctr = new Ctr(containerd);
    await ctr.import(image);
  });

  afterEach(async () => {
    await containerd.stop();
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    // The shim was killed a moment ago and may be about to go.
    await check(["umount", "--lazy", disk]);
    await rm(disk, { recursive: true });
  });

  /** Writes until nothing more goes in. */
  function fill(): Promise<void> {
    return new Promise((resolve) => {
      const file = createWriteStream(join(disk, "filler"));
      file.on("error", () => resolve());
      const more = (): void => void file.write(Buffer.alloc(4096), (error) => (error ? resolve() : more()));
      more();
    });
  }

  it("a container fails with the reason, others go on, and room makes it work again", async () => {
    const other = freshId(prefix);
    const flags = ["--detach", "--null-io"];
    await ctr.check(ctr.runArguments(image, ["sleep", "1000"], { id: other, flags }));

    await fill();
    const refused = await ctr.run(image, ["true"], { id: freshId(prefix) });
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /no space left on device/i);
    const exec = await ctr.capture(["task", "ls"]);
    assert.match(exec.stdout, new RegExp(`${other}\\s+\\d+\\s+RUNNING`));

    await rm(join(disk, "filler"));
    assert.equal((await ctr.run(image, ["true"], { id: freshId(prefix) })).status, 0);
    await ctr.check(["task", "rm", "--force", other]);
    await ctr.check(["containers", "rm", other]);
    assert.deepEqual(await remainsOf(containerd, prefix), nothing);
  });

  it("output to a file on it is lost with a report, and the container ends as it would", async () => {
    const id = freshId(prefix);
    const flags = ["--log-uri", `file://${join(disk, "output")}`];
    const { status } = await ctr.run(image, ["sh", "-c", "head -c 8000000 /dev/zero; exit 7"], { id, flags });
    assert.equal(status, 7);
    assert.match(containerd.log, /output is lost: .*ENOSPC/);
    await rm(join(disk, "output"));
  });
});
