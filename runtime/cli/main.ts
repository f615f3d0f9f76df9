import { writeSync } from "node:fs";
import { SettingsError } from "../../config/errors.js";
import { CommandLineError, ownFailure, type Command } from "./command.js";
import { doCommand } from "./do.js";
import { doctorCommand } from "./doctor.js";
import { regionsCommand } from "./regions.js";
import { logsCommand } from "./logs.js";
import { psCommand } from "./ps.js";
import { setupCommand } from "./setup.js";
import { version } from "./version.js";

const commands: Readonly<Record<string, Command>> = {
  do: doCommand,
  doctor: doctorCommand,
  regions: regionsCommand,
  logs: logsCommand,
  ps: psCommand,
  setup: setupCommand,
};

function help(): string {
  const width = Math.max(...Object.values(commands).map(({ usage }) => usage.length));
  return [
    "usage: tine COMMAND",
    "",
    ...Object.values(commands).map(({ usage, summary }) => `  tine ${usage.padEnd(width)}  ${summary}`),
    "",
    "  tine COMMAND --help tells more; tine --version",
    "",
  ].join("\n");
}

/** Runs one command line; its value is the exit status. */
async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version" || name === "-v") {
    writeSync(1, `tine ${version}\n`);
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    writeSync(1, help());
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    writeSync(2, name === undefined ? help() : `tine: no command ${JSON.stringify(name)}; see tine --help\n`);
    return ownFailure;
  }
  try {
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
