import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { check } from "../harness/command.js";
import { cache } from "../harness/paths.js";

/** Debian's names of the architectures that have a rig. */
export type DebianArchitecture = "amd64" | "arm64";

/** A kernel as Debian ships it for clouds, unpacked. */
export interface RigKernel {
  /** Path of the kernel image. */
  image: string;
  /** Paths of the modules asked for, in the order asked for. */
  modules: string[];
}

/**
 * Debian's cloud kernel of this machine's release, for either architecture: fetched once with an apt root of its own,
 * so that nothing of the machine's package state is touched, and kept in the cache. `TINE_DEBIAN_MIRROR` names another
 * mirror than the machine's own.
 *
 * @param modules names without suffix, such as `kvm-amd`.
 * @throws {CommandError} when apt fails: with its messages.
 */
export async function rigKernel(
  architecture: DebianArchitecture,
  modules: readonly string[] = [],
): Promise<RigKernel> {
  const sources = await debianSources();
  const key = createHash("sha256")
    .update(JSON.stringify([1, architecture, sources]))
    .digest("hex")
    .slice(0, 12);
  const folder = join(cache, "kernels");
  const place = join(folder, `${architecture}-${key}`);
  if (!(await exists(place))) await fetchKernel(architecture, sources, folder, place);
  const files = await readdir(place, { recursive: true });
  return {
    image: join(place, find(files, /^boot\/vmlinuz-[^/]*$/, "kernel image")),
    modules: modules.map((name) => join(place, find(files, new RegExp(`/${name}\\.ko$`), `module ${name}`))),
  };
}

function find(files: readonly string[], pattern: RegExp, what: string): string {
  const found = files.find((file) => pattern.test(file));
  if (found === undefined) throw new Error(`the kernel package holds no ${what}`);
  return found;
}

async function fetchKernel(
  architecture: DebianArchitecture,
  sources: DebianSources,
  folder: string,
  place: string,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, ".making-"));
  try {
    const root = join(scratch, "apt");
    for (const part of ["state/lists/partial", "cache/archives/partial"])
      await mkdir(join(root, part), { recursive: true });
    await writeFile(join(root, "status"), "");
    await writeFile(join(root, sources.name), sources.text);
    const options = [
      `Dir::State=${join(root, "state")}`,
      `Dir::State::status=${join(root, "status")}`,
      `Dir::Cache=${join(root, "cache")}`,
      `Dir::Etc::sourcelist=${join(root, sources.name)}`,
      "Dir::Etc::sourceparts=/dev/null",
      `APT::Architecture=${architecture}`,
      `APT::Architectures=${architecture}`,
      "APT::Sandbox::User=root",
      "Acquire::Languages=none",
      "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
    ].flatMap((option) => ["-o", option]);
    await check(["apt-get", "-q", ...options, "update"], { limit: 300_000 });
    const meta = `linux-image-cloud-${architecture}`;
    const { stdout } = await check(["apt-cache", ...options, "depends", meta]);
    const name = /^ *Depends: (linux-image-\S+)$/m.exec(stdout)?.[1];
    if (name === undefined) throw new Error(`${meta} depends on no kernel:\n${stdout}`);
    await check(["apt-get", "-q", ...options, "download", name], { limit: 300_000, directory: scratch });
    const packageFile = (await readdir(scratch)).find((file) => file.endsWith(".deb"));
    if (packageFile === undefined) throw new Error(`apt-get downloaded no file for ${name}`);
    const tree = join(scratch, "tree");
    await check(["dpkg-deb", "-x", join(scratch, packageFile), tree]);
    // Two test runs may make it at once: the first one's stays.
    await rename(tree, place).catch(async (error: unknown) => {
      if (!(await exists(place))) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface DebianSources {
  /** A file name whose suffix tells apt the format. */
  name: string;
  text: string;
}

/** Where this machine gets its Debian packages from, without any other vendor's sources. */
async function debianSources(): Promise<DebianSources> {
  const mirror = process.env["TINE_DEBIAN_MIRROR"];
  if (mirror !== undefined) {
    const release = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile("/etc/os-release", "utf8"))?.[1];
    if (release === undefined) throw new Error("/etc/os-release names no Debian release (VERSION_CODENAME)");
    return { name: "debian.list", text: `deb ${mirror} ${release} main\n` };
  }
  for (const path of ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"])
    if (await exists(path)) return { name: `debian${suffixOf(path)}`, text: await readFile(path, "utf8") };
  throw new Error("no Debian package source: set TINE_DEBIAN_MIRROR");
}

function suffixOf(path: string): string {
  return /\.\w+$/.exec(basename(path))?.[0] ?? "";
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
