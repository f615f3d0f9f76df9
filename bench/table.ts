/** Figures side by side: one line a subject, one column a peer. */
export interface Table {
  readonly title: string;
  readonly unit: string;
  readonly columns: readonly string[];
  /** Figures that there are none of are left out, or null where they were kept as JSON. */
  readonly rows: readonly {
    readonly what: string;
    readonly figures: readonly (number | null | undefined)[];
  }[];
}

/** The table in Markdown, which is readable as it is. */
export function markdown({ title, unit, columns, rows }: Table): string {
  const cells = [
    [unit, ...columns],
    ...rows.map(({ what, figures }) => [
      what,
      ...figures.map((value) => (typeof value === "number" ? figure(value) : "–")),
    ]),
  ];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  const lines = cells.map(
    (line) =>
      `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`,
  );
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [`## ${title}`, "", lines[0] ?? "", rule, ...lines.slice(1), ""].join("\n");
}

/** Three significant digits. */
function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/** The middle value. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The "NAME NUMBER" lines that the measuring programs print. */
export function readFigures(text: string): Map<string, number> {
  const figures = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^(\S+) (\d+(?:\.\d+)?)$/.exec(line);
    if (match?.[1] !== undefined) figures.set(match[1], Number(match[2]));
  }
  return figures;
}
