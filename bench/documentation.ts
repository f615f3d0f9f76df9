import { verdicts } from "./goals.js";
import { markdown, type Table } from "./table.js";

/** A run that was kept: bench/results/NAME.json. */
export interface Results {
  readonly date: string;
  readonly machine: string;
  /** The mean number of processes that wanted to run, at the beginning and at the end. */
  readonly load?: readonly [number, number];
  readonly tables: readonly Table[];
}

/** docs/performance.md, made from a run that was kept. */
export function performancePage({ date, machine, load, tables }: Results): string {
  const lines = verdicts(tables).map(
    ({ goal, came, met }) => `| ${goal} | ${came} | ${met ? "yes" : "**no**"} |`,
  );
  const busy = load === undefined ? "" : `; load ${load[0].toFixed(1)} before, ${load[1].toFixed(1)} after`;
  return `<!-- Made from bench/results/performance.json by \`npm run docs\`. -->

# Performance

Measured ${date} on ${machine}${busy}. \`npm run bench -- --save performance\` measures it again,
\`npm run docs\` then makes this page. All columns of a table come from one run, the peers taking turns, and only the
ratios between them say something about another machine.

| wanted | came to | reached |
| --- | ---: | --- |
${lines.join("\n")}

Where KVM is PVM, as inside many cloud sandboxes, what leaves the guest is dear: a system call, a \`cpuid\` (a program's
start makes some sixty), and the first touch of each page, whose translation KVM makes one at a time in a shadow of the
guest's page tables. Work that stays in the processor is as quick as elsewhere. After a fork the host protects the
parent's pages, which drops their translations, and each comes back at its next use: huge pages bring them back 512 at a
time. On a host with VMX or SVM, an exit costs a twentieth of that. [exitless.md](exitless.md) and [fork.md](fork.md)
tell what is done about it.

${tables.map(markdown).join("\n")}`;
}
