/** One option of a command. */
export interface Option {
  /** What its value is called, for those that take one. */
  readonly argument?: string;
  /** What it does, in a few words. */
  readonly text: string;
  /** The values it takes, where these are few. */
  readonly choices?: readonly string[];
}

/** What a command's operands are, for completion: containers that run, words, or what the shell knows of. */
export type Operands = "none" | "container" | "process" | "program" | readonly string[];

/** One of `tine`'s commands. */
export interface Command {
  /** Its command line, without `tine`. */
  readonly usage: string;
  /** What it does, in a few words. */
  readonly summary: string;
  /** What else there is to say, in lines of at most 110 characters. */
  readonly details: string;
  /** Its options by their names, dashes included; `--help` goes without saying. */
  readonly options: Readonly<Record<string, Option>>;
  readonly operands: Operands;
  /** Does it; the value is the exit status. */
  run(args: readonly string[]): number | Promise<number>;
}

/**
 * The exit status of Tine's own failures. `tine do` returns its program's status, so this is the one that
 * docker and podman keep for themselves.
 */
export const ownFailure = 125;

/** A command line that cannot be understood. */
export class CommandLineError extends Error {
  override readonly name = "CommandLineError";
  readonly code = "command-line";
}

/** What `tine COMMAND --help` shows. */
export function helpOf({ usage, summary, details, options }: Command): string {
  const names = Object.entries(options).map(([name, { argument, text }]) => ({
    left: argument === undefined ? name : `${name} ${argument}`,
    text,
  }));
  const width = Math.max(0, ...names.map(({ left }) => left.length));
  const list = names.map(({ left, text }) => `  ${left.padEnd(width)}  ${text}\n`).join("");
  const first = `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
  return [`usage: tine ${usage}\n`, `${first}\n`, details, list].filter((part) => part !== "").join("\n");
}

/** Whether the command line asks for help; where the first operand is a program, what follows it is the program's. */
export function asksForHelp(args: readonly string[], { options, operands }: Command): boolean {
  for (let position = 0; position < args.length; position += 1) {
    const argument = args[position] ?? "";
    if (argument === "--help" || argument === "-h") return true;
    if (argument === "--" || (operands === "program" && !argument.startsWith("-"))) return false;
    if (options[argument]?.argument !== undefined) position += 1;
  }
  return false;
}

/** Takes a command's arguments apart, as {@link parseArguments} does; options may follow operands, unless these are a program's. */
export function parseOptions(
  args: readonly string[],
  { options, operands }: Pick<Command, "options" | "operands">,
): ParsedArguments {
  const known = Object.entries(options).map(([name, { argument }]) => [name, argument !== undefined]);
  return parseArguments(
    args,
    Object.fromEntries(known) as Record<string, boolean>,
    operands === "program" ? "before" : "anywhere",
  );
}

/** The options of a command line, and what follows them. */
export interface ParsedArguments {
  /** The values of each option, in order; "" for those that take none. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/**
 * Takes `--name VALUE`, `--name=VALUE` and flags apart. Options end at `--`.
 *
 * @param known each option's name with its dashes, and whether a value follows it.
 * @param place where options may stand: only before the first operand, so that a program's own options stay its own, or
 *   after operands too.
 * @throws {CommandLineError} for an unknown option, a missing value, a value where none belongs.
 */
export function parseArguments(
  args: readonly string[],
  known: Readonly<Record<string, boolean>>,
  place: "before" | "anywhere" = "before",
): ParsedArguments {
  const options = new Map<string, string[]>();
  const operands: string[] = [];
  let position = 0;
  while (position < args.length) {
    const argument = args[position] ?? "";
    if (argument === "--") {
      position += 1;
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      if (place === "before") break;
      operands.push(argument);
      position += 1;
      continue;
    }
    position += 1;
    const [name = "", ...rest] = argument.split("=");
    if (!Object.hasOwn(known, name)) throw new CommandLineError(`unknown option ${name}`);
    let value = rest.length > 0 ? rest.join("=") : undefined;
    if (known[name] && value === undefined) {
      value = args[position];
      position += 1;
      if (value === undefined) throw new CommandLineError(`${name} needs a value`);
    } else if (!known[name] && value !== undefined) {
      throw new CommandLineError(`${name} takes no value`);
    }
    options.set(name, [...(options.get(name) ?? []), value ?? ""]);
  }
  return { options, operands: [...operands, ...args.slice(position)] };
}
