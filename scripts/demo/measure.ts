import { join } from "node:path";
import type { Ctr } from "../../test/harness/ctr.js";
import { CommandError } from "../../test/harness/command.js";
import type { TestImage } from "../../test/harness/image.js";

/** Resident memory, in MiB, at which a fork is measured. */
const sizes = [0, 16, 64, 256];
const starts = 7;

/** One line of the table: a figure of each runtime, in milliseconds, in the order they were given. */
export interface Row {
  readonly what: string;
  readonly milliseconds: readonly number[];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The time of `ctr run --rm IMAGE /bin/true`, the runtimes taking turns. */
export async function startTimes(ctr: Ctr, image: TestImage, runtimes: readonly string[]): Promise<Row> {
  const times = runtimes.map((): number[] => []);
  // The first start of each is not counted: it finds the files cold.
  for (let round = 0; round <= starts; round += 1) {
    for (const [index, runtime] of runtimes.entries()) {
      const begin = performance.now();
      const result = await ctr.run(image, ["/bin/true"], { runtime });
      const time = performance.now() - begin;
      if (result.status !== 0)
        throw new CommandError("failed", `${runtime}: /bin/true failed\n${result.stderr}`, result);
      if (round > 0) times[index]?.push(time);
    }
  }
  return { what: "ctr run --rm … /bin/true", milliseconds: times.map(median) };
}

/** The time of fork + exit + wait at several resident sizes, measured inside a container of each runtime. */
export async function forkTimes(
  ctr: Ctr,
  image: TestImage,
  runtimes: readonly string[],
  program: string,
): Promise<Row[]> {
  const columns: Map<string, number>[] = [];
  for (const runtime of runtimes) {
    const flags = ["--mount", `type=bind,src=${program},dst=/fork-cost,options=bind:ro`];
    const result = await ctr.run(image, ["/fork-cost", ...sizes.map(String)], {
      runtime,
      flags,
      limit: 120_000,
    });
    if (result.status !== 0)
      throw new CommandError("failed", `${runtime}: fork-cost failed\n${result.stderr}`, result);
    const lines = result.stdout.trim().split("\n");
    columns.push(
      new Map(
        lines.map((line) => {
          const [size = "", microseconds] = line.split(" ");
          return [size, Number(microseconds) / 1000];
        }),
      ),
    );
  }
  return sizes.map((size) => ({
    what: `fork + exit + wait, ${size} MiB resident`,
    milliseconds: columns.map((column) => column.get(String(size)) ?? Number.NaN),
  }));
}

/** The command that compiles the measuring program for any image: without shared libraries. */
export function forkCostCompiler(repository: string, output: string): string[] {
  return [
    "gcc",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-static",
    "-o",
    output,
    join(repository, "scripts/demo/fork-cost.c"),
  ];
}

/** The rows as a table, with the first column's figure divided by the second's. */
export function table(names: readonly string[], rows: readonly Row[]): string {
  const figure = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
  const lines = [
    ["", ...names, `${names[0] ?? ""} ÷ ${names[1] ?? ""}`],
    ...rows.map(({ what, milliseconds: [first = Number.NaN, second = Number.NaN] }) => [
      what,
      figure(first),
      figure(second),
      (first / second).toFixed(2),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((cells) => `  ${cells.map(pad).join("   ")}\n`).join("");
}
