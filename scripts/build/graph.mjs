import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { repository } from "../lib/paths.mjs";

const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));

const common = ["-std=c++20", "-g", "-Wall", "-Wextra", "-Werror", `-DTINE_VERSION='"${version}"'`];
const monitor = [...common, "-O2", "-fPIE", "-fno-exceptions", "-fno-rtti", "-Inative/vmm"];

/**
 * The native programs: which sources, which compiler, which flags, which output. Flags are ninja's business
 * from here: a changed flag, header or source rebuilds exactly what depends on it.
 */
export const nativeParts = {
  vmm: {
    output: "build/bin/tine-vmm",
    compiler: "g++",
    sources: () => monitorSources("x86_64"),
    compile: [...monitor, "-Inative/vmm/arch/x86_64/include"],
    link: ["-static-pie"],
  },
  san: {
    output: "build/san/tine-vmm",
    compiler: "g++",
    sources: () => monitorSources("x86_64"),
    compile: [
      ...monitor,
      "-Inative/vmm/arch/x86_64/include",
      "-fsanitize=undefined",
      "-fno-sanitize-recover",
    ],
    link: ["-static-pie", "-fsanitize=undefined"],
  },
  aarch64: {
    output: "build/aarch64/tine-vmm",
    compiler: "aarch64-linux-gnu-g++",
    sources: () => monitorSources("aarch64"),
    compile: [...monitor, "-Inative/vmm/arch/aarch64/include"],
    link: ["-static-pie"],
  },
  addon: {
    output: "build/native/tine.node",
    compiler: "g++",
    sources: () => filesUnder("native/addon", [".cc"]),
    compile: [
      ...common,
      "-O2",
      "-fPIC",
      "-fvisibility=hidden",
      "-DNAPI_VERSION=8",
      "-DNAPI_CPP_EXCEPTIONS",
      "-isystem node_modules/node-api-headers/include",
      "-isystem node_modules/node-addon-api",
    ],
    // Its C++ library inside: Node brings none that is sure to be new enough.
    link: ["-shared", "-static-libstdc++", "-static-libgcc"],
  },
  launcher: {
    output: "build/bin/containerd-shim-tine-v2",
    compiler: "g++",
    sources: () => filesUnder("shim/launcher", [".cc"]),
    compile: [...common, "-O2", "-fPIE", "-fno-exceptions", "-fno-rtti"],
    link: ["-static-pie"],
  },
};

/** Everything under native/vmm but the other architectures' folders and what only tests use. */
function monitorSources(architecture) {
  return filesUnder("native/vmm", [".cc", ".S"]).filter((path) => {
    const match = /^native\/vmm\/arch\/([^/]+)\//.exec(path);
    return match === null || match[1] === architecture;
  });
}

function filesUnder(folder, suffixes) {
  const found = [];
  for (const entry of readdirSync(join(repository, folder), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !suffixes.some((suffix) => entry.name.endsWith(suffix))) continue;
    found.push(relative(repository, join(entry.parentPath ?? entry.path, entry.name)));
  }
  return found.sort();
}

/** The ninja file for the named parts, as text. */
export function ninjaFile(names) {
  const lines = [
    "ninja_required_version = 1.8",
    "rule compile",
    "  command = $compiler $flags -MMD -MF $out.d -c $in -o $out",
    "  description = $in",
    "  depfile = $out.d",
    "  deps = gcc",
    "rule link",
    "  command = $compiler $flags $in -o $out.new && mv -f $out.new $out",
    "  description = link $out",
    "",
  ];
  for (const name of names) {
    const part = nativeParts[name];
    const objects = [];
    for (const source of part.sources()) {
      const object = `build/obj/${name}/${source}.o`;
      objects.push(object);
      lines.push(`build ${object}: compile ${source}`);
      lines.push(`  compiler = ${part.compiler}`, `  flags = ${part.compile.join(" ")}`);
    }
    // Linked beside its place and renamed into it: a running program keeps its old file.
    lines.push(`build ${part.output}: link ${objects.join(" ")}`);
    lines.push(`  compiler = ${part.compiler}`, `  flags = ${part.link.join(" ")}`);
    lines.push(`build ${name}: phony ${part.output}`, "");
  }
  return `${lines.join("\n")}\n`;
}
