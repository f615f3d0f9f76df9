import { writeSync } from "node:fs";
import { regionsOf, type Region, type Regions } from "../fork/regions.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";

const details = `Shows which memory a fork copies at once, and why. PID is the process's number on the host; its memory has to be
the caller's to read (root's, as a rule).
`;

/** `tine regions`: a guest process's memory as its fork strategy sees it. */
export const regionsCommand: Command = {
  usage: "regions [--all] PID",
  summary: "shows what a fork of a guest process copies",
  details,
  options: { "--all": { text: "every mapping, and what a fork does with it" } },
  operands: "process",
  run(args) {
    const { options, operands } = parseOptions(args, this);
    const [text = "", ...rest] = operands;
    if (!/^[1-9]\d*$/.test(text) || rest.length > 0)
      throw new CommandLineError("one process identifier is wanted");
    writeSync(1, described(regionsOf(Number(text)), options.has("--all")));
    return 0;
  },
};

function described(found: Regions, all: boolean): string {
  const kind = found.translated ? "translated" : "native";
  const asked = found.asked === "auto" ? "" : ", as asked for";
  const head = `${kind} program, ${found.strategy}${asked}; ${found.forks} forks; ${mebibytes(found.copiedBytes)} copied when it was forked itself`;
  const shown = all ? found.regions : found.regions.filter(({ fork }) => fork === "copied");
  const sum = shown.reduce((total, { residentBytes }) => total + residentBytes, 0);
  const total =
    shown.length === 0
      ? "a fork copies nothing at once: all regions are copy-on-write or shared (--all lists them)"
      : `${shown.length} regions, ${mebibytes(sum)} resident`;
  return `${[head, ...shown.map(line), total].join("\n")}\n`;
}

function line({ start, end, protection, kind, residentBytes, fork, why }: Region): string {
  const range = `${start.toString(16).padStart(12, "0")}-${end.toString(16).padStart(12, "0")}`;
  return `${range} ${protection} ${kind.padEnd(9)} ${mebibytes(residentBytes).padStart(12)}  ${fork}: ${why}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}
