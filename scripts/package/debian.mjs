import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "../lib/paths.mjs";
import { run, writeTree } from "./tree.mjs";

const architectures = { x64: "amd64", arm64: "arm64" };

/**
 * Makes the Debian package, which carries its own Node.
 *
 * @param folder where it comes
 * @param node the Node to carry along
 * @returns its path
 */
export function makeDebianPackage(folder, node) {
  const { version, description } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const architecture = architectures[process.arch];
  const root = mkdtempSync(join(tmpdir(), "tine-package-"));
  try {
    writeTree(root, node);
    writeLegalities(root, version);
    mkdirSync(join(root, "DEBIAN"));
    const control = [
      "Package: tine",
      `Version: ${version}`,
      `Architecture: ${architecture}`,
      "Maintainer: Tine's maintainers <maintainers@tine.invalid>",
      `Installed-Size: ${Math.ceil(sizeOf(root) / 1024)}`,
      // Node's own; the addon brings its C++ library along, the programs are static.
      `Depends: libc6 (>= ${newestOf("GLIBC", [node, join(root, "usr/lib/tine/build/native/tine.node")])}), libstdc++6, libgcc-s1, runc`,
      "Recommends: containerd",
      "Suggests: docker.io, bash-completion",
      "Section: admin",
      "Priority: optional",
      `Description: ${description.split(": ")[1] ?? description}`,
      " A containerd runtime shim, io.containerd.tine.v2: containers' programs run in ring 3",
      " of KVM virtual machines, a small monitor serves their system calls, and runc makes",
      " the namespaces, mounts and control groups around it. Clients choose it by name:",
      " ctr run --runtime io.containerd.tine.v2, and likewise nerdctl, docker and Kubernetes.",
      " .",
      ' The package carries the Node.js that it runs on. "tine doctor" tells whether the',
      " machine is fit: it needs /dev/kvm.",
      "",
    ].join("\n");
    writeFileSync(join(root, "DEBIAN/control"), control);
    run("chmod", "-R", "u=rwX,go=rX", root);
    mkdirSync(folder, { recursive: true });
    const target = join(folder, `tine_${version}_${architecture}.deb`);
    rmSync(target, { force: true });
    run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--build", root, target);
    return target;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function writeLegalities(root, version) {
  const folder = join(root, "usr/share/doc/tine");
  mkdirSync(folder, { recursive: true });
  const copyright = [
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
    "Upstream-Name: tine",
    "",
    "Files: *",
    "Copyright: Tine's authors",
    "License: Apache-2.0",
    " See /usr/share/common-licenses/Apache-2.0.",
    "",
    "Files: usr/lib/tine/node/node",
    "Copyright: Node.js contributors and the authors of what it includes",
    "License: Expat and others",
    " Run with -p process.versions it tells what it includes; the licences come with its source.",
    "",
  ].join("\n");
  writeFileSync(join(folder, "copyright"), copyright);
  writeFileSync(
    join(folder, "README"),
    `Tine ${version}. tine(1) is where to begin; the pages here tell the rest.\n`,
  );
}

/** The newest version of a library's symbols that the programs ask for, such as 2.28 for GLIBC_2.28. */
function newestOf(library, programs) {
  const versions = programs.flatMap((program) =>
    [
      ...run("objdump", "-T", program)
        .toString()
        .matchAll(new RegExp(`\\b${library}_(\\d+)\\.(\\d+)`, "g")),
    ].map(([, major, minor]) => [Number(major), Number(minor)]),
  );
  return versions
    .sort(([a, b], [c, d]) => a - c || b - d)
    .at(-1)
    .join(".");
}

function sizeOf(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
}
