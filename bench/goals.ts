import type { Table } from "./table.js";

/** What is wanted of a figure, and what it came to. */
export interface Verdict {
  readonly goal: string;
  readonly came: string;
  readonly met: boolean;
}

/** One table's row by the column's name. */
class Figures {
  constructor(private readonly tables: readonly Table[]) {}

  of(title: string, row: string, column: string): number | undefined {
    const table = this.tables.find((candidate) => candidate.title.startsWith(title));
    const index = table?.columns.indexOf(column) ?? -1;
    return table?.rows.find(({ what }) => what === row)?.figures[index] ?? undefined;
  }

  /** The one column's figure through the other's. */
  ratio(title: string, row: string, above: string, below: string): number | undefined {
    const [a, b] = [this.of(title, row, above), this.of(title, row, below)];
    return a === undefined || b === undefined ? undefined : a / b;
  }
}

/** Every goal that the tables can say something about. */
export function verdicts(tables: readonly Table[]): Verdict[] {
  const figures = new Figures(tables);
  const found: Verdict[] = [];
  const atMost = (goal: string, ratio: number | undefined, limit: number): void => {
    if (ratio !== undefined) found.push({ goal, came: `${ratio.toFixed(2)} ×`, met: ratio <= limit });
  };
  for (const what of ["beside a container that runs", "alone"]) {
    atMost(`start, ${what}: at most 1.0 × runc`, figures.ratio("Start", what, "Tine", "runc"), 1);
  }
  const first = "the first in a namespace";
  const [ours, theirs] = [figures.of("Start", first, "Tine"), figures.of("Start", first, "runc")];
  if (ours !== undefined && theirs !== undefined) {
    const more = ours - theirs;
    found.push({
      goal: "start, the first in a namespace: at most runc + 120 ms",
      came: `runc + ${more.toFixed(0)} ms`,
      met: more <= 120,
    });
  }
  const fork = (size: number): string => `${size} MiB: fork + exit + wait`;
  for (const size of [64, 256, 1024]) {
    const limit = size === 256 ? 0.2 : 1;
    const goal = `fork at ${size} MiB: at most ${limit} × native`;
    atMost(goal, figures.ratio("Fork", fork(size), "cow", "native"), limit);
  }
  const work = tables.find(({ title }) => title.startsWith("Processor"));
  for (const { what } of work?.rows ?? []) {
    const ratio = figures.ratio("Processor", what, "runc", "Tine");
    if (ratio !== undefined) {
      const goal = `${what}: at least 0.97 of runc's speed`;
      found.push({ goal, came: ratio.toFixed(2), met: ratio >= 0.97 });
    }
  }
  const monitor = figures.of("Memory", "its process", "Tine");
  if (monitor !== undefined) {
    const goal = "an idle container's process: at most 2.5 MiB";
    found.push({ goal, came: `${monitor.toFixed(2)} MiB`, met: monitor <= 2.5 });
  }
  const shims = "its share of the shims";
  atMost("shims of idle containers: at most runc's", figures.ratio("Memory", shims, "Tine", "runc"), 1);
  return found;
}
