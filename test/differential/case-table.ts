import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../harness/paths.js";

/** One script of a group. */
export interface DifferentialCase {
  name: string;
  script: string;
}

/** The cases of one `.cases` file: they run one after the other in one container. */
export interface DifferentialGroup {
  name: string;
  /** Shell text that runs one case; `$1` is the script's path. */
  run: string;
  cases: DifferentialCase[];
}

/** A `.cases` file does not say how its cases run, or names one twice. */
export class CaseTableError extends Error {
  override readonly name = "CaseTableError";
  readonly code = "bad-table";
}

/**
 * Every group of cases/, in order of name. A file is text: `# run: SHELL TEXT` first, then `=== NAME` before each
 * script, so that the scripts stand there as they are run, free of another language's quoting.
 *
 * @throws {CaseTableError}
 */
export function readGroups(): DifferentialGroup[] {
  const folder = join(repository, "test/differential/cases");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cases"))
    .sort()
    .map((file) => parseGroup(file.replace(/\.cases$/, ""), readFileSync(join(folder, file), "utf8")));
}

/**
 * One group from its text.
 *
 * @throws {CaseTableError}
 */
export function parseGroup(name: string, text: string): DifferentialGroup {
  const run = /^# run: (.+)\n/.exec(text)?.[1];
  if (run === undefined) throw new CaseTableError(`${name}.cases does not begin with "# run: "`);
  const cases: DifferentialCase[] = [];
  for (const part of text.split(/^=== /m).slice(1)) {
    const end = part.indexOf("\n");
    const title = part.slice(0, end);
    if (cases.some((other) => other.name === title))
      throw new CaseTableError(`${name}.cases: "${title}" stands there twice`);
    cases.push({ name: title, script: part.slice(end + 1) });
  }
  return { name, run, cases };
}
