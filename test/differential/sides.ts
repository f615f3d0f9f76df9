import { access, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { capture, check, type CommandResult } from "../harness/command.js";
import type { TestImage } from "../harness/image.js";
import { cache, programs, repository } from "../harness/paths.js";
import { mountPoint } from "./work-folder.js";

/** One of the two ways a group is run. */
export interface Side {
  name: string;
  /** Runs the driver that lies in `folder` over its cases. @param limit milliseconds. */
  run(folder: string, limit: number): Promise<CommandResult>;
}

/** The statically linked Go program that the cases use: it comes with the project's own packages. */
export const goProgram = join(repository, "node_modules/@bufbuild/buf-linux-x64/bin/buf");

/**
 * The files of an image's only layer, unpacked in the cache under a name of the image's own.
 *
 * @throws {CommandError} when tar fails.
 */
export async function unpackImage(image: TestImage): Promise<string> {
  const folder = join(cache, "roots");
  const root = join(folder, image.reference.replace(/[^\w.-]/g, "_"));
  const there = await access(root).then(
    () => true,
    () => false,
  );
  if (there) return root;
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, ".unpacking-"));
  try {
    await mkdir(join(scratch, "layout"));
    await mkdir(join(scratch, "root"));
    await check(["tar", "-xf", image.archive, "-C", join(scratch, "layout")], { limit: 300_000 });
    for (const layer of await layersOf(join(scratch, "layout"))) {
      await check(
        ["tar", "-xpf", layer, "-C", join(scratch, "root"), "--numeric-owner", "--exclude=./dev/*"],
        { limit: 300_000 },
      );
    }
    await rename(join(scratch, "root"), root);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return root;
}

interface Descriptor {
  digest: string;
}

async function layersOf(layout: string): Promise<string[]> {
  const blob = (descriptor: Descriptor): string => join(layout, "blobs", ...descriptor.digest.split(":"));
  const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as { manifests: Descriptor[] };
  const [first] = index.manifests;
  if (first === undefined) throw new TypeError("an image without manifests");
  const manifest = JSON.parse(await readFile(blob(first), "utf8")) as { layers: Descriptor[] };
  return manifest.layers.map(blob);
}

/**
 * Mounts and namespaces that both sides stand in: the image under an overlay in memory, /proc of a pid namespace,
 * a small /dev, the work folder.
 */
const surroundings = `
set -e
root=$1 work=$2 go=$3; shift 3
mount --make-rprivate /
mount -t tmpfs none /mnt
mkdir /mnt/upper /mnt/below /mnt/root
mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/below" none /mnt/root
cd /mnt/root
mkdir -p .${mountPoint} opt
touch opt/buf
mount --bind "$work" .${mountPoint}
mount --bind "$go" opt/buf
mount -t proc proc proc
mount -t tmpfs -o mode=755 none dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs none dev/shm
mount -t tmpfs none tmp
chmod 1777 tmp dev/shm
exec "$@"
`;

/** The image's programs on Linux itself. */
export function nativeSide(root: string): Side {
  return besideEachOther("native", root, ["chroot", "/mnt/root", "/bin/sh", `${mountPoint}/driver`]);
}

/** The same programs in microVMs, without a jail. */
export function microVmSide(root: string): Side {
  const monitor = join(programs, "tine-vmm");
  return besideEachOther("tine-vmm", root, [
    monitor,
    "--root=/mnt/root",
    "--",
    "/bin/sh",
    `${mountPoint}/driver`,
  ]);
}

function besideEachOther(name: string, root: string, command: readonly string[]): Side {
  return {
    name,
    run: (folder, limit) =>
      capture(
        [
          ...["unshare", "--mount", "--pid", "--ipc", "--net", "--uts", "--fork", "--kill-child", "sh", "-c"],
          `ip link set lo up 2>/dev/null\n${surroundings}`,
          ...["surroundings", root, folder, goProgram, ...command],
        ],
        { limit },
      ),
  };
}
