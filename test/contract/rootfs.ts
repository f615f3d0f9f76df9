import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readImageArchive } from "../../oci/layout-reader.js";
import { check } from "../harness/command.js";
import { busyboxImage } from "../harness/image.js";

let unpacked: Promise<string> | undefined;

/** A folder with busybox's files, shared by all tests of this run: mount it, do not change it. */
export function busyboxFolder(): Promise<string> {
  unpacked ??= unpack();
  return unpacked;
}

after(async () => {
  if (unpacked !== undefined) {
    await rm(await unpacked, { recursive: true, force: true });
  }
});

async function unpack(): Promise<string> {
  const { archive } = await busyboxImage();
  const [image] = await readImageArchive(archive);
  const folder = await mkdtemp(join(tmpdir(), "tine-rootfs-"));
  await chmod(folder, 0o755);
  for (const { digest } of image?.manifest.layers ?? []) {
    const blob = `blobs/${digest.replace(":", "/")}`;
    await check(["sh", "-c", `tar -xOf "$0" "$1" | tar -xz -C "$2"`, archive, blob, folder]);
  }
  return folder;
}
