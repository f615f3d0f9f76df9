import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { BootstrapError, runQuietly, say } from "./progress.mjs";

/**
 * The tools of each group: the Debian package that brings it, and how to see that it is there. A tool counts
 * as there wherever it came from, so a machine with its own containerd or compiler keeps it.
 */
const groups = {
  build: [
    { package: "g++", programs: ["g++"] },
    { package: "ninja-build", programs: ["ninja"] },
  ],
  containers: [
    { package: "containerd", programs: ["containerd", "ctr"] },
    { package: "runc", programs: ["runc"] },
    { package: "iproute2", programs: ["ip"] },
  ],
  images: [
    { package: "mmdebstrap", programs: ["mmdebstrap"] },
    { package: "debian-archive-keyring", files: ["/usr/share/keyrings/debian-archive-keyring.gpg"] },
  ],
  packages: [
    { package: "dpkg", programs: ["dpkg-deb"] },
    { package: "binutils", programs: ["strip", "objdump"] },
  ],
  clients: [
    { package: "docker.io", programs: ["dockerd", "docker-proxy"] },
    { package: "iptables", programs: ["iptables"] },
    { package: "containernetworking-plugins", files: ["/usr/lib/cni/bridge"] },
    { package: "bsdutils", programs: ["script"] },
  ],
  tests: [
    { package: "musl-tools", programs: ["musl-gcc"] },
    { package: "g++-aarch64-linux-gnu", programs: ["aarch64-linux-gnu-g++"] },
    { package: "qemu-system-x86", programs: ["qemu-system-x86_64"] },
    { package: "qemu-system-arm", programs: ["qemu-system-aarch64"] },
    { package: "libc6-dev-arm64-cross", files: ["/usr/aarch64-linux-gnu/include/stdlib.h"] },
    { package: "clang", programs: ["clang"] },
    sanitizersOfClang(),
    { package: "golang-go", programs: ["go"] },
    { package: "valgrind", programs: ["valgrind"] },
  ],
};

/** Its package's name holds the version of the release's clang. */
function sanitizersOfClang() {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const [major, version] = /^VERSION_CODENAME=bookworm$/m.test(release) ? ["14", "14.0.6"] : ["19", "19"];
  const folder = `/usr/lib/llvm-${major}/lib/clang/${version}/lib/linux`;
  return { package: `libclang-rt-${major}-dev`, files: [`${folder}/libclang_rt.msan-x86_64.a`] };
}

const systemFolders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

function onPath(program) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...systemFolders];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function isThere(tool) {
  return (tool.programs ?? []).every(onPath) && (tool.files ?? []).every((file) => existsSync(file));
}

/** Installs with apt what the named groups lack, and nothing else. */
export async function ensurePackages(names) {
  // Programs in sbin are used too, and an ordinary user's PATH does not have it.
  const path = new Set([...(process.env.PATH ?? "").split(delimiter), ...systemFolders]);
  process.env.PATH = [...path].join(delimiter);
  const missing = names.flatMap((name) => groups[name]).filter((tool) => !isThere(tool));
  if (missing.length === 0) return;
  const packages = missing.map((tool) => tool.package);
  const command = `apt-get install --no-install-recommends ${packages.join(" ")}`;
  if (!onPath("apt-get")) {
    const wanted = missing.flatMap((tool) => tool.programs ?? tool.files).join(", ");
    throw new BootstrapError(
      `missing: ${wanted}; this machine has no apt-get`,
      "install them by hand, then run again",
    );
  }
  if (process.getuid?.() !== 0) {
    throw new BootstrapError(
      `missing packages: ${packages.join(", ")}; installing them needs root`,
      `sudo ${command}`,
    );
  }
  say(`installing ${packages.join(", ")} (apt)`);
  const install = ["install", "-y", "--no-install-recommends", ...packages];
  let result = await apt(install);
  if (result.code !== 0) {
    // The usual cause: package lists that are missing or too old.
    say("refreshing apt's package lists");
    const update = await apt(["update"]);
    if (update.code === 0) result = await apt(install);
    else result = update;
  }
  if (result.code !== 0) {
    throw new BootstrapError(
      `apt-get could not install ${packages.join(", ")}:\n${result.output.trimEnd().split("\n").slice(-15).join("\n")}`,
      `make a Debian mirror reachable (apt-get update), then: ${command}`,
    );
  }
  const still = missing.filter((tool) => !isThere(tool)).map((tool) => tool.package);
  if (still.length > 0) {
    throw new BootstrapError(`${still.join(", ")} installed, but its programs are not found`, "look at PATH");
  }
}

function apt(args) {
  return runQuietly("apt-get", ["-q", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
  });
}
