import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** Where a program is: the path itself, or the first folder of a PATH that has it; undefined when nowhere. */
export function findProgram(name: string, path = process.env["PATH"] ?? ""): string | undefined {
  const candidates = isAbsolute(name)
    ? [name]
    : path.split(delimiter).map((folder) => join(folder || ".", name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}

export interface ProgramOutput {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program for at most ten seconds; a program that cannot be started has the status 127. */
export function outputOf(program: string, args: readonly string[]): Promise<ProgramOutput> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 10_000 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 127;
      resolve({ status, stdout, stderr: status === 127 && stderr === "" ? (error?.message ?? "") : stderr });
    });
  });
}

/** The first version number in a text, such as `1.1.5`. */
export function versionIn(text: string): string | undefined {
  return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0];
}

/** Whether one dotted version is another or newer. */
export function atLeast(version: string, wanted: string): boolean {
  const [have, want] = [version, wanted].map((text) => text.split(".").map(Number));
  for (let place = 0; place < 3; place += 1) {
    const difference = (have?.[place] ?? 0) - (want?.[place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
