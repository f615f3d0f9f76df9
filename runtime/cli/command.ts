/** One of `tine`'s commands. */
export interface Command {
  /** Its command line, without `tine`. */
  readonly usage: string;
  /** What it does, in a few words. */
  readonly summary: string;
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

/** The options of a command line, and what follows them. */
export interface ParsedArguments {
  /** The values of each option, in order; "" for those that take none. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/**
 * Takes `--name VALUE`, `--name=VALUE` and flags apart. Options end at `--` or at the first operand, so that a
 * program's own options stay its own.
 *
 * @param known each option's name with its dashes, and whether a value follows it.
 * @throws {CommandLineError} for an unknown option, a missing value, a value where none belongs.
 */
export function parseArguments(
  args: readonly string[],
  known: Readonly<Record<string, boolean>>,
): ParsedArguments {
  const options = new Map<string, string[]>();
  let position = 0;
  while (position < args.length) {
    const argument = args[position] ?? "";
    if (argument === "--") {
      position += 1;
      break;
    }
    if (!argument.startsWith("-") || argument === "-") break;
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
  return { options, operands: args.slice(position) };
}
