import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { check } from "./command.js";
import { copyFromPackage, foreignArchitecture, nativeArchitecture, releaseName } from "./image.js";
import { cache, repository } from "./paths.js";

/** What the other architecture is called by qemu and by the cross compiler. */
const processor = foreignArchitecture === "arm64" ? "aarch64" : "x86_64";

/**
 * qemu-user for the other architecture, static, out of Debian's package: unpacked beside the images and
 * registered nowhere, so that the machine stays as it is.
 *
 * @throws {CommandError} when the package cannot be fetched.
 */
export async function qemuUser(): Promise<string> {
  const folder = join(cache, "translators");
  const name = `qemu-${processor}-static`;
  const program = join(folder, `${name}-${await releaseName()}`);
  const there = await access(program).then(
    () => true,
    () => false,
  );
  if (there) return program;
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, ".making-"));
  try {
    const copy = join(scratch, name);
    await copyFromPackage("qemu-user-static", nativeArchitecture, [`usr/bin/${name}`], scratch, copy);
    await rename(copy, program);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return program;
}

/**
 * Compiles a C program statically for the other architecture.
 *
 * @throws {CommandError} with the compiler's messages.
 */
export async function crossCompile(source: string, output: string): Promise<void> {
  const include = join(repository, "test/guest/lib");
  const flags = [
    "-O2",
    "-std=gnu17",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pthread",
    "-static",
    `-I${include}`,
  ];
  await check([`${processor}-linux-gnu-gcc`, ...flags, "-o", output, source], { limit: 120_000 });
}
