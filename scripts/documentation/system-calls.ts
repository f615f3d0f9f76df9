import { execFileSync } from "node:child_process";

/** How the monitor serves a call: passed to the host with translated arguments, by code of its own, or not at all. */
export type SystemCallClass = "passed" | "emulated" | "refused";

/** One row of the monitor's table. */
export interface SystemCall {
  /** The guest architecture's number. */
  readonly number: number;
  readonly name: string;
  readonly class: SystemCallClass;
  /** What a refused call answers, for example `EPERM`; empty for the others. */
  readonly errno: string;
  /** Why it is refused, or what is special about it; may be empty. */
  readonly note: string;
}

/** Asks the monitor at `path` for its table. Throws where the program cannot be run. */
export function readSystemCalls(path: string): SystemCall[] {
  return JSON.parse(execFileSync(path, ["--syscalls"], { encoding: "utf8" })) as SystemCall[];
}

/** The text of docs/syscalls.md. */
export function systemCallPage(calls: readonly SystemCall[]): string {
  const count = (wanted: SystemCallClass): number => calls.filter((call) => call.class === wanted).length;
  const rows = calls.map((call) => {
    const served = call.class === "refused" ? `refused: ${call.errno}` : call.class;
    return `| ${call.number} | ${call.name} | ${served} | ${call.note} |`;
  });
  return [
    "# System calls",
    "",
    "Every system call of x86-64 Linux and what a guest's call of it meets. This page is made from the monitor's own",
    "table by `npm run docs`; a number that is not here answers ENOSYS.",
    "",
    `- **passed** (${count("passed")}): made on the host with the same meaning. Pointers are translated, descriptors of the`,
    "  monitor look closed, paths that lead into /proc show the guest's view.",
    `- **emulated** (${count("emulated")}): served by code of the monitor, with Linux's behaviour.`,
    `- **refused** (${count("refused")}): answers the errno that Linux gives where the call is not allowed or not built in.`,
    "",
    "| number | name | served | note |",
    "|---:|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
