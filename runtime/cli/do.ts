import { existsSync } from "node:fs";
import type { Settings } from "../../config/schema.js";
import { loadSettings } from "../../config/settings.js";
import { configuredTranslators } from "../../config/translators.js";
import { addon } from "../../native/addon/addon.js";
import { isStrategy, strategies } from "../fork/strategy.js";
import { monitorTuning, tuningOptions } from "../monitor/tuning.js";
import { Translators, type InheritedTranslators } from "../monitor/translators.js";
import { CommandLineError, ownFailure, parseOptions, type Command } from "./command.js";
import { monitor } from "./installation.js";

/** The variables in which build/bin/tine notes what Node changes when it starts. */
const notes = ["TINE_DESCRIPTORS", "TINE_SIGNALS_IGNORED", "TINE_SOFT_DESCRIPTORS"] as const;

const details = `The program and its descendants run without containerd and without a jail: as the caller, on the caller's files.
Standard input and output are the program's; so is the exit status, 128 + n after signal n. Tine's own
failures give ${ownFailure}, a program that is not found 127, one that cannot be executed 126.
`;

/** `tine do`: becomes the monitor, so that signals, job control and exit status are the program's own. */
export const doCommand: Command = {
  usage: "do [--root DIR] [--env K=V] [--cwd DIR] [--fork S] -- PROG ARGS…",
  summary: "runs one program in microVMs, without containerd",
  details,
  options: {
    "--root": { argument: "DIR", text: "the program's / is DIR (needs CAP_SYS_CHROOT)" },
    "--env": {
      argument: "K=V",
      text: "sets a variable of the program's environment; K alone takes it out; may be repeated",
    },
    "--cwd": { argument: "DIR", text: "the folder it starts in, seen from --root if there is one" },
    "--fork": {
      argument: "S",
      text: `how a fork's memory reaches the child: ${strategies.join(", ")}`,
      choices: strategies,
    },
  },
  operands: "program",
  run(args) {
    const { options, operands } = parseOptions(args, this);
    if (operands.length === 0) throw new CommandLineError("no program given");
    const root = options.get("--root")?.at(-1);
    const folder = options.get("--cwd")?.at(-1);
    if (!existsSync(monitor)) throw new Error(`${monitor} is missing; npm run build makes it`);
    const settings = loadSettings();
    const translators = openTranslators(settings);
    return addon.replaceProcess(
      monitor,
      [
        "tine-vmm",
        ...(root === undefined ? [] : [`--root=${root}`]),
        // Below a root that is not ours, `/` is the only folder that is there for certain.
        ...(folder === undefined ? (root === undefined ? [] : ["--cwd=/"]) : [`--cwd=${folder}`]),
        ...forkOption(options.get("--fork")?.at(-1), settings),
        ...tuningOptions(monitorTuning(settings)),
        ...(translators === undefined ? [] : [`--translators-fd=${translators.descriptors[0]}`]),
        "--",
        ...operands,
      ],
      environmentOf(options.get("--env") ?? []),
      [
        0,
        1,
        2,
        ...(translators?.descriptors ?? []),
        ...(handedOn("TINE_DESCRIPTORS", (text) => text.trim().split(" ").map(Number)) ?? []),
      ],
      handedOn("TINE_SIGNALS_IGNORED", (text) => BigInt(`0x${text}`)),
      handedOn("TINE_SOFT_DESCRIPTORS", (text) => (text === "unlimited" ? undefined : BigInt(text))),
    );
  },
};

function forkOption(named: string | undefined, settings: Settings): string[] {
  if (named !== undefined && !isStrategy(named)) {
    throw new CommandLineError(`--fork ${named} is none of ${strategies.join(", ")}`);
  }
  const strategy = named ?? settings.fork.strategy;
  return strategy === "auto" ? [] : [`--fork=${strategy}`];
}

/** Without any of our own the monitor looks at the host's by itself. */
function openTranslators(settings: Settings): InheritedTranslators | undefined {
  const configured = configuredTranslators(settings);
  return configured.length === 0 ? undefined : new Translators().openHere(configured);
}

/** The caller's environment, less what build/bin/tine added, with the named changes. */
function environmentOf(changes: readonly string[]): string[] {
  const environment = new Map(Object.entries(process.env));
  for (const name of notes) environment.delete(name);
  for (const change of changes) {
    const equals = change.indexOf("=");
    if (equals === 0 || change === "")
      throw new CommandLineError(`--env ${JSON.stringify(change)} names no variable`);
    if (equals < 0) environment.delete(change);
    else environment.set(change.slice(0, equals), change.slice(equals + 1));
  }
  return [...environment].map(([name, value]) => `${name}=${value ?? ""}`);
}

/** What build/bin/tine noted before Node changed it; undefined when this was started in another way. */
function handedOn<T>(name: (typeof notes)[number], read: (text: string) => T | undefined): T | undefined {
  const text = process.env[name];
  return text === undefined || text === "" ? undefined : read(text);
}
