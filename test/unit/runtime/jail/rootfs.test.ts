import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountCall, mountRoot, unmountRoot } from "../../../../runtime/jail/rootfs.js";

const MS_RDONLY = 1;
const MS_BIND = 4096;
const MS_REC = 16_384;

describe("a mount's options", () => {
  it("are sorted into flags, propagation and what the file system reads", () => {
    assert.deepEqual(
      mountCall({
        type: "bind",
        source: "/a",
        target: "",
        options: ["rbind", "ro", "rprivate", "mode=755", "rw", "ro"],
      }),
      {
        flags: MS_BIND | MS_REC | MS_RDONLY,
        propagation: [(1 << 18) | MS_REC],
        data: "mode=755",
        directory: "",
      },
    );
  });

  it("of an overlay become relative when a page does not hold them", () => {
    const layers = Array.from(
      { length: 60 },
      (_, index) => `/var/lib/containerd/snapshots/${index}/${"x".repeat(60)}`,
    );
    const options = ["index=off", "upperdir=/up", "workdir=/work", `lowerdir=${layers.join(":")}`];
    const call = mountCall({ type: "overlay", source: "overlay", target: "", options });
    const relative = layers.map((layer) => layer.slice("/var/lib/containerd/snapshots/".length));
    assert.deepEqual(call, {
      flags: 0,
      propagation: [],
      data: `index=off,upperdir=/up,workdir=/work,lowerdir=${relative.join(":")}`,
      directory: "/var/lib/containerd/snapshots",
    });
  });

  it("of an overlay stay as they are when they fit", () => {
    const options = ["lowerdir=/a/b:/a/c"];
    const call = mountCall({ type: "overlay", source: "overlay", target: "", options });
    assert.deepEqual([call.data, call.directory], ["lowerdir=/a/b:/a/c", ""]);
  });
});

describe("a root file system", () => {
  let folder: string;
  let root: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-rootfs-"));
    root = join(folder, "rootfs");
    await mkdir(root);
    await mkdir(join(folder, "layer"));
    await writeFile(join(folder, "layer/file"), "content");
  });

  afterEach(async () => {
    await unmountRoot(root);
    await rm(folder, { recursive: true });
  });

  const bind = (...options: string[]) => ({
    type: "bind",
    source: join(folder, "layer"),
    target: "",
    options: ["rbind", ...options],
  });

  it("is mounted and unmounted, read-only where asked", async () => {
    await mountRoot(root, [bind("ro")]);
    assert.equal(await readFile(join(root, "file"), "utf8"), "content");
    await assert.rejects(writeFile(join(root, "new"), ""), { code: "EROFS" });
    await unmountRoot(root);
    await assert.rejects(readFile(join(root, "file")), { code: "ENOENT" });
  });

  async function overlayOf(count: number, name: (index: number) => string) {
    const layers: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const layer = join(folder, "layers", name(index));
      await mkdir(layer, { recursive: true });
      await writeFile(join(layer, `file-${index}`), "");
      layers.push(layer);
    }
    return { type: "overlay", source: "overlay", target: "", options: [`lowerdir=${layers.join(":")}`] };
  }

  it("is mounted with 128 layers, whose whole paths a page does not hold", async () => {
    await mountRoot(root, [await overlayOf(128, (index) => `${index}/fs`)]);
    assert.equal(await readFile(join(root, "file-127"), "utf8"), "");
  });

  it("is refused with a reason where even relative paths are too long", async () => {
    await assert.rejects(mountRoot(root, [await overlayOf(100, (index) => `${index}${"x".repeat(60)}`)]), {
      code: "failed",
      message: `failed to mount rootfs component: overlay of overlay at ${root}: the options do not fit a page`,
    });
  });

  it("that cannot be mounted leaves nothing mounted, and says what", async () => {
    const nothing = { type: "bind", source: "/nonexistent", target: "", options: ["rbind"] };
    await assert.rejects(mountRoot(root, [bind(), nothing]), {
      code: "failed",
      message: `failed to mount rootfs component: bind of /nonexistent at ${root}: ENOENT: No such file or directory, mount`,
    });
    await assert.rejects(readFile(join(root, "file")), { code: "ENOENT" });
  });

  it("is unmounted when nothing is mounted, or is not there at all", async () => {
    await unmountRoot(root);
    await unmountRoot(join(folder, "nonexistent"));
  });
});
