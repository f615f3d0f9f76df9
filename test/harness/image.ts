import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { readImageArchive } from "../../oci/layout-reader.js";
import { blobPath, writeImageArchive } from "../../oci/layout-writer.js";
import { capture, check } from "./command.js";
import { cache } from "./paths.js";

/** An image ready to import: `ctr images import archive` makes `reference`. */
export interface TestImage {
  reference: string;
  /** Path of the OCI layout in a tar. */
  archive: string;
}

/** What is told while an image is made, since that can take a minute. */
export type Progress = (text: string) => void;

/** What the Debian image of the demo and of most tests holds beside Debian's essential packages. */
export const debianPackages = [
  "bash",
  "coreutils",
  "gcc",
  "libc6-dev",
  "procps",
  "python3",
  "redis",
] as const;

/** Go's and Debian's name of this machine's architecture, and of the other that Tine knows. */
export const nativeArchitecture = process.arch === "arm64" ? "arm64" : "amd64";
export const foreignArchitecture = process.arch === "arm64" ? "amd64" : "arm64";

/** Raised when something below changes what an image of the same name holds. */
const format = 1;

const environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"];

/**
 * A Debian image of this machine's release, made from packages with mmdebstrap and kept in the cache under a
 * name that follows from the package list. `TINE_DEBIAN_MIRROR` names another mirror than Debian's own.
 *
 * @param sources - source packages whose archives are to lie in /usr/src
 * @param release - of another release of Debian than the machine's
 * @throws {CommandError} when mmdebstrap fails: with its messages.
 */
export async function debianImage(
  packages: readonly string[] = debianPackages,
  progress: Progress = () => undefined,
  sources: readonly string[] = [],
  release?: string,
): Promise<TestImage> {
  const suite = release ?? (await releaseName());
  const mirror = process.env["TINE_DEBIAN_MIRROR"];
  const key = keyOf([suite, ...[...packages].sort(), ...sources.map((name) => `source of ${name}`)]);
  return cachedImage(
    `tine.test/debian:${key}`,
    `debian-${suite}-${key}.tar`,
    async (scratch) => {
      progress(`making a Debian ${suite} image with ${packages.join(", ")} (mmdebstrap)`);
      const rootfs = join(scratch, "rootfs.tar");
      await check(
        [
          "mmdebstrap",
          "--quiet",
          "--variant=minbase",
          `--include=${packages.join(",")}`,
          '--aptopt=Apt::Install-Recommends "false"',
          // Documentation and caches are half of a small system and nothing in a container reads them.
          "--dpkgopt=path-exclude=/usr/share/doc/*",
          "--dpkgopt=path-exclude=/usr/share/man/*",
          // Some packages (Java, PostgreSQL) do not configure without the folders that lie there.
          '--essential-hook=mkdir -p "$1/usr/share/man/man1" "$1/usr/share/man/man7"',
          "--dpkgopt=path-exclude=/usr/share/locale/*",
          ...(sources.length === 0 ? [] : [`--customize-hook=${fetchSources(sources)}`]),
          suite,
          rootfs,
          ...(mirror === undefined ? [] : [mirror]),
        ],
        { limit: 600_000, environment: { ...process.env, LC_ALL: "C.UTF-8" } },
      );
      return { rootfs, command: ["/bin/bash"] };
    },
    progress,
  );
}

/** What mmdebstrap runs, with the new root as its argument. */
function fetchSources(names: readonly string[]): string {
  const list = '"$1/etc/apt/sources.list.d/sources.list"';
  return [
    `sed -n "s/^deb /deb-src /p" "$1/etc/apt/sources.list" >${list}`,
    'chroot "$1" apt-get -qq update',
    `chroot "$1" sh -c "cd /usr/src && apt-get -qq source --download-only ${names.join(" ")}"`,
    `rm ${list}`,
  ].join(" && ");
}

/**
 * A small image: Debian's static busybox under all its names, with an own /etc/passwd. It starts quickly and
 * needs no dynamic linker.
 *
 * @throws {CommandError} when the package cannot be fetched.
 */
export async function busyboxImage(progress: Progress = () => undefined): Promise<TestImage> {
  return busyboxImageOf(nativeArchitecture, [], progress);
}

/**
 * The same for the other of the two architectures.
 *
 * @param translator - what runs its programs, from translator.ts
 * @throws {CommandError} when the package cannot be fetched.
 */
export async function foreignBusyboxImage(
  translator: string,
  progress: Progress = () => undefined,
): Promise<TestImage> {
  return busyboxImageOf(foreignArchitecture, [translator], progress);
}

async function busyboxImageOf(
  architecture: string,
  translator: readonly string[],
  progress: Progress,
): Promise<TestImage> {
  const suite = await releaseName();
  const other = architecture === nativeArchitecture ? "" : `-${architecture}`;
  return cachedImage(
    `tine.test/busybox${other}:${suite}`,
    `busybox-${suite}${other}-${keyOf([suite])}.tar`,
    async (scratch) => {
      progress(`making a busybox image for ${architecture}`);
      const busybox = join(scratch, "busybox");
      await copyFromPackage(
        "busybox-static",
        architecture,
        ["usr/bin/busybox", "bin/busybox"],
        scratch,
        busybox,
      );
      const rootfs = join(scratch, "busybox-rootfs.tar");
      const applets = (await check([...translator, busybox, "--list"])).stdout.split("\n");
      await busyboxRootfs(busybox, applets, rootfs);
      return { rootfs, command: ["/bin/sh"], architecture };
    },
    progress,
  );
}

/** What holds a pod's namespaces while containers come and go: busybox, asleep. */
export async function pauseImage(progress: Progress = () => undefined): Promise<TestImage> {
  const busybox = await busyboxImage(progress);
  const suite = await releaseName();
  return cachedImage(
    `tine.test/pause:${suite}`,
    `pause-${suite}-${keyOf([suite])}.tar`,
    async (scratch) => {
      const tree = join(scratch, "pause");
      await mkdir(tree);
      await unpackImage(busybox, tree);
      const rootfs = join(scratch, "pause-rootfs.tar");
      await check(["tar", "-C", tree, "-cf", rootfs, "."]);
      return { rootfs, command: ["/bin/sleep", "1000000000"] };
    },
    progress,
  );
}

/** Unpacks an image's layers, the lowest first, into an empty folder. (White-outs are not looked at: one layer has none.) */
export async function unpackImage(image: TestImage, folder: string): Promise<void> {
  const [read] = await readImageArchive(image.archive);
  if (read === undefined) throw new Error(`${image.archive} holds no image`);
  for (const { digest } of read.manifest.layers) {
    const script = 'tar -xOf "$1" "$2" | tar -xzf - -C "$3"';
    await check(["bash", "-o", "pipefail", "-ec", script, "unpack", image.archive, blobPath(digest), folder]);
  }
}

/** The name of this machine's Debian release. */
export async function releaseName(): Promise<string> {
  const match = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile("/etc/os-release", "utf8"));
  if (match?.[1] === undefined) throw new Error("/etc/os-release names no Debian release (VERSION_CODENAME)");
  return match[1];
}

function keyOf(parts: readonly string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([format, parts]))
    .digest("hex")
    .slice(0, 12);
}

/** The image from the cache; made first, beside its place and then renamed into it, when it is not there. */
async function cachedImage(
  reference: string,
  name: string,
  make: (scratch: string) => Promise<{ rootfs: string; command: string[]; architecture?: string }>,
  progress: Progress,
): Promise<TestImage> {
  const folder = join(cache, "images");
  const archive = join(folder, name);
  const there = await access(archive).then(
    () => true,
    () => false,
  );
  if (there) return { reference, archive };
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, ".making-"));
  try {
    const { rootfs, command, architecture } = await make(scratch);
    progress(`writing image ${reference}`);
    await writeImageArchive(join(scratch, name), {
      reference,
      architecture: architecture ?? nativeArchitecture,
      config: { Env: environment, Cmd: command, WorkingDir: "/" },
      layers: [rootfs],
    });
    await rename(join(scratch, name), archive);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return { reference, archive };
}

/**
 * Copies one file out of a Debian package, whatever architecture it is for.
 *
 * @param paths - where it may be inside, the first that is there is taken
 * @throws {CommandError} when the package cannot be fetched.
 */
export async function copyFromPackage(
  name: string,
  architecture: string,
  paths: readonly string[],
  scratch: string,
  destination: string,
): Promise<void> {
  const mirror = process.env["TINE_DEBIAN_MIRROR"];
  const tree = join(scratch, "tree");
  // The variant `extract` unpacks the package and its dependencies, and configures nothing.
  await check(
    [
      "mmdebstrap",
      "--quiet",
      "--variant=extract",
      `--architectures=${architecture}`,
      "--skip=check/qemu",
      `--include=${name}`,
      await releaseName(),
      tree,
      ...(mirror === undefined ? [] : [mirror]),
    ],
    { limit: 300_000, environment: { ...process.env, LC_ALL: "C.UTF-8" } },
  );
  for (const path of paths) {
    const copied = await capture(["cp", join(tree, path), destination]);
    if (copied.status === 0) return;
  }
  throw new Error(`${name} holds no ${paths.join(" or ")}`);
}

async function busyboxRootfs(
  busybox: string,
  applets: readonly string[],
  destination: string,
): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(destination));
  const mtime = new Date(0);
  for (const name of [
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "var",
    "var/tmp",
  ]) {
    archive.entry({
      name: `${name}/`,
      type: "directory",
      mode: name.endsWith("tmp") ? 0o1777 : 0o755,
      mtime,
    });
  }
  for (const [name, target] of [
    ["sbin", "bin"],
    ["usr/sbin", "bin"],
  ] as const) {
    archive.entry({ name, type: "symlink", linkname: target, mtime });
  }
  archive.entry({ name: "bin/busybox", mode: 0o755, mtime }, await readFile(busybox));
  for (const applet of applets) {
    if (applet !== "" && applet !== "busybox")
      archive.entry({ name: `bin/${applet}`, type: "symlink", linkname: "busybox", mtime });
  }
  const passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
  archive.entry({ name: "etc/passwd", mode: 0o644, mtime }, passwd);
  archive.entry({ name: "etc/group", mode: 0o644, mtime }, "root:x:0:\nnogroup:x:65534:\n");
  archive.finalize();
  await written;
}
