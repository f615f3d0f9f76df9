import assert from "node:assert/strict";
import { chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
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

describe("a mount's mapped owners", () => {
  const mapped = (...options: string[]) =>
    mountCall({ type: "overlay", source: "overlay", target: "", options });

  it("are taken out of the options, with the layers that they concern", () => {
    const owners = ["uidmap=0:100000:1000,1000:200000:1", "gidmap=0:5:7"];
    assert.deepEqual(mapped("lowerdir=/a:/b", ...owners, "upperdir=/c", "workdir=/d"), {
      flags: 0,
      propagation: [],
      data: "lowerdir=/a:/b,upperdir=/c,workdir=/d",
      directory: "",
      mapped: { users: "0 100000 1000\n1000 200000 1\n", groups: "0 5 7\n", lower: ["/a", "/b"] },
    });
  });

  it("have to be numbers", () => {
    assert.throws(() => mapped("lowerdir=/a", "uidmap=0:x:1", "gidmap=0:1:1"), {
      code: "failed",
      message: "failed to mount rootfs component: invalid option uidmap=0:x:1",
    });
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

  const owners = ["uidmap=0:100000:1000,1000:300000:1000", "gidmap=0:200000:2000"];
  const ownerOf = async (path: string): Promise<readonly number[]> => {
    const { uid, gid } = await stat(join(root, path));
    return [uid, gid];
  };

  it("is mounted with other owners than on disk: an overlay's layers, the upper one's not", async () => {
    const { options, ...overlay } = await overlayOf(3, (index) => `${index}/fs`);
    await chown(join(folder, "layers/2/fs/file-2"), 1001, 1002);
    for (const name of ["upper", "work"]) await mkdir(join(folder, name));
    await writeFile(join(folder, "upper/new"), "");
    const upper = [`upperdir=${join(folder, "upper")}`, `workdir=${join(folder, "work")}`];
    await mountRoot(root, [{ ...overlay, options: [...options, ...upper, ...owners] }]);
    assert.deepEqual(
      [await ownerOf("file-0"), await ownerOf("file-2"), await ownerOf("new")],
      [
        [100_000, 200_000],
        [300_001, 201_002],
        [0, 0],
      ],
    );
    await writeFile(join(root, "file-1"), "changed");
    const lower = await readFile(join(folder, "layers/1/fs/file-1"), "utf8");
    assert.deepEqual([await readFile(join(root, "file-1"), "utf8"), lower], ["changed", ""]);
    await unmountRoot(root);
    assert.ok(!(await readFile("/proc/self/mounts", "utf8")).includes(folder));
  });

  it("is mounted with other owners than on disk: a folder's", async () => {
    await mountRoot(root, [bind(...owners)]);
    assert.deepEqual(await ownerOf("file"), [100_000, 200_000]);
    await unmountRoot(root);
    assert.ok(!(await readFile("/proc/self/mounts", "utf8")).includes(folder));
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
