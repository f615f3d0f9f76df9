import { readFileSync } from "node:fs";

/** A program of a distribution that was run on Linux and in microVMs, one row of test/breadth/programs.json. */
export interface TriedProgram {
  readonly program: string;
  /** Debian's package (or source, for a package's own tests) and its version. */
  readonly package: string;
  readonly version: string;
  /** What was done with it. */
  readonly done: string;
  /** Whether output, exit status and what it left were those of Linux. */
  readonly result: "same" | "differs";
  /** What a difference comes from, or came from before it was mended. */
  readonly cause?: string;
}

/** Reads the rows of `path`. Throws where the file is missing or not JSON. */
export function readPrograms(path: string): TriedProgram[] {
  return JSON.parse(readFileSync(path, "utf8")) as TriedProgram[];
}

/** The page docs/programs.md: what differs first, then by name. */
export function programsPage(programs: readonly TriedProgram[]): string {
  const rows = [...programs].sort(
    (left, right) =>
      left.result.localeCompare(right.result) ||
      left.program.localeCompare(right.program, "en", { sensitivity: "base" }),
  );
  const same = programs.filter((program) => program.result === "same").length;
  return `# Programs that were tried

Made by \`npm run docs\` from test/breadth/programs.json; do not edit. ${programs.length} programs of Debian 12, each
used for something on Linux itself and in microVMs by one script: ${same} gave the same output and exit status (process
numbers and times aside).

| program | package | what was done | result |
|---|---|---|---|
${rows
  .map((row) => {
    const result = row.cause === undefined ? row.result : `${row.result}: ${row.cause}`;
    return `| ${row.program} | ${row.package} ${row.version} | ${row.done} | ${result} |`;
  })
  .join("\n")}
`;
}
