import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { check } from "../../harness/command.js";
import { repository } from "../../harness/paths.js";

/**
 * Compiles a test program with sources of the monitor, with the sanitizers on, into build/test/.
 *
 * @param name - The program's name: test/unit/native/NAME.cc
 * @param sources - Files of the monitor it is linked with, relative to native/vmm
 * @returns Where the program is.
 */
export async function compileNative(name: string, sources: readonly string[]): Promise<string> {
  const folder = join(repository, "build/test");
  await mkdir(folder, { recursive: true });
  const program = join(folder, name);
  await check([
    "g++",
    "-std=c++20",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-exceptions",
    "-fno-rtti",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-I",
    join(repository, "native/vmm"),
    "-I",
    join(repository, "native/vmm/arch", process.arch === "arm64" ? "aarch64" : "x86_64", "include"),
    "-o",
    program,
    join(repository, "test/unit/native", `${name}.cc`),
    ...sources.map((source) => join(repository, "native/vmm", source)),
  ]);
  return program;
}
