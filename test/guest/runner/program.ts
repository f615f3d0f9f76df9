import { mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { check } from "../../harness/command.js";
import { repository } from "../../harness/paths.js";

/** The ways a guest program is linked. */
export const kinds = ["dynamic", "dynamic-nopie", "static", "static-pie", "musl"] as const;
export type Kind = (typeof kinds)[number];

/** A guest program's source and the ways it wants to be built. */
export interface GuestProgram {
  name: string;
  source: string;
  kinds: readonly Kind[];
}

const folder = join(repository, "test/guest");

const common = [
  "-O2",
  "-g",
  "-std=gnu17",
  "-D_GNU_SOURCE",
  "-Wall",
  "-Wextra",
  "-Werror",
  // Bad pointers are what many of these programs are about.
  "-Wno-nonnull",
  "-Wno-stringop-overread",
  "-Wno-stringop-overflow",
  "-Wno-array-bounds",
  "-pthread",
  `-I${join(folder, "lib")}`,
];

const compilers: Record<Kind, readonly string[]> = {
  dynamic: ["gcc", "-pie", "-fPIE"],
  "dynamic-nopie": ["gcc", "-no-pie", "-fno-pie"],
  static: ["gcc", "-static", "-no-pie", "-fno-pie"],
  "static-pie": ["gcc", "-static-pie", "-fPIE"],
  musl: ["musl-gcc", "-static"],
};

/**
 * The programs of a folder below test/guest. A source's first lines may say `kinds: static dynamic`; a program
 * that says nothing is built dynamic.
 */
export function guestPrograms(subfolder: string): GuestProgram[] {
  return readdirSync(join(folder, subfolder))
    .filter((file) => file.endsWith(".c") || file.endsWith(".S"))
    .sort()
    .map((file) => {
      const source = join(folder, subfolder, file);
      const stated = /^(?:\/\/|#) kinds: (.*)$/m.exec(readFileSync(source, "utf8"))?.[1];
      const words = stated?.split(" ") ?? ["dynamic"];
      return {
        name: basename(file).replace(/\.[cS]$/, ""),
        source,
        kinds: kinds.filter((kind) => words.includes(kind)),
      };
    });
}

/**
 * Builds a program into build/guest unless that is newer than the sources; gives the executable's path.
 *
 * @throws {CommandError} with the compiler's messages.
 */
export async function build(program: GuestProgram, kind: Kind): Promise<string> {
  const output = join(repository, "build/guest", `${program.name}.${kind}`);
  mkdirSync(join(repository, "build/guest"), { recursive: true });
  const library = join(folder, "lib");
  const newest = Math.max(
    statSync(program.source).mtimeMs,
    ...readdirSync(library).map((file) => statSync(join(library, file)).mtimeMs),
  );
  const built = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built > newest) return output;
  const [compiler, ...flags] = compilers[kind];
  const bare = program.source.endsWith(".S") ? ["-nostdlib", "-nostartfiles"] : ["-lrt", "-ldl"];
  await check([compiler ?? "gcc", ...flags, ...common, "-o", output, program.source, ...bare], {
    limit: 120_000,
  });
  return output;
}
