import { verdicts } from "./goals.js";
import { markdown, type Table } from "./table.js";

/** A table, and where and when it was measured. */
export interface Measured extends Table {
  readonly date: string;
  readonly machine: string;
  /** The mean number of processes that wanted to run, at the beginning and at the end. */
  readonly load: readonly [number, number];
}

/** What was kept: bench/results/NAME.json. */
export interface Results {
  readonly tables: readonly Measured[];
}

/** A table with its circumstances, in Markdown. */
export function describe(table: Measured): string {
  const { date, machine, load } = table;
  const [before, after] = load.map((value) => value.toFixed(1));
  return `${markdown(table)}\n${date}; ${machine}; load ${before} before, ${after} after.\n`;
}

/** docs/performance.md, made from what was kept. */
export function performancePage({ tables }: Results): string {
  const lines = verdicts(tables).map(
    ({ goal, came, met }) => `| ${goal} | ${came} | ${met ? "yes" : "**no**"} |`,
  );
  return `<!-- Made from bench/results/performance.json by \`npm run docs\`. -->

# Performance

\`npm run bench -- --save performance [GROUP…]\` measures it again, \`npm run docs\` then makes this page. All columns of a table come from one run, the peers taking turns, and only the
ratios between them say something about another machine.

| wanted | came to | reached |
| --- | ---: | --- |
${lines.join("\n")}

Where KVM is PVM, as inside many cloud sandboxes, what leaves the guest is dear: a system call, a \`cpuid\` (a program's
start makes some sixty; those of the dynamic loader are answered without), and the first touch of each page, whose translation KVM makes one at a time in a shadow of the
guest's page tables. Work that stays in the processor is as quick as elsewhere. After a fork the host protects the
parent's pages, which drops their translations, and each comes back at its next use: huge pages bring them back 512 at a
time. On a host with VMX or SVM, an exit costs a twentieth of that. [exitless.md](exitless.md) and [fork.md](fork.md)
tell what is done about it.

${tables.map(describe).join("\n")}`;
}
