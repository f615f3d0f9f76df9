import { writeSync } from "node:fs";
import { SettingsError } from "../../config/errors.js";
import { asksForHelp, CommandLineError, helpOf, ownFailure } from "./command.js";
import { commands } from "./commands.js";
import { version } from "./version.js";

function help(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  return [
    "usage: tine COMMAND [OPTION…] [ARGUMENT…]",
    "",
    ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "tine COMMAND --help and tine(1) tell more; tine --version.",
    "To begin with: tine doctor. Then run an image in Tine:",
    "",
    "  ctr run --rm -t --runtime io.containerd.tine.v2 REFERENCE NAME sh",
    "",
  ].join("\n");
}

/** Runs one command line; its value is the exit status. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-v" || name === "-V" || name === "version") {
    writeSync(1, `tine ${version}\n`);
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    const [about = ""] = rest;
    const subject = Object.hasOwn(commands, about) ? commands[about] : undefined;
    writeSync(1, subject === undefined ? help() : helpOf(subject));
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    writeSync(2, name === undefined ? help() : `tine: no command ${JSON.stringify(name)}; see tine --help\n`);
    return ownFailure;
  }
  try {
    if (asksForHelp(rest, command)) {
      writeSync(1, helpOf(command));
      return 0;
    }
    return await command.run(rest);
  } catch (error) {
    if (error instanceof CommandLineError)
      writeSync(2, `tine ${name}: ${error.message}\nusage: tine ${command.usage}\n`);
    else if (error instanceof SettingsError) writeSync(2, `tine: ${error.message}\n`);
    else writeSync(2, `tine ${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return ownFailure;
  }
}

process.exitCode = await main(process.argv.slice(2));
