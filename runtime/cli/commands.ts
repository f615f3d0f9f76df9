import type { Command } from "./command.js";
import { completionCommand } from "./completion.js";
import { doCommand } from "./do.js";
import { doctorCommand } from "./doctor.js";
import { logsCommand } from "./logs.js";
import { psCommand } from "./ps.js";
import { regionsCommand } from "./regions.js";
import { setupCommand } from "./setup.js";
import { statsCommand } from "./stats.js";

/** All of them, by name. */
export const commands: Readonly<Record<string, Command>> = {
  do: doCommand,
  doctor: doctorCommand,
  ps: psCommand,
  stats: statsCommand,
  logs: logsCommand,
  regions: regionsCommand,
  setup: setupCommand,
  completion: completionCommand,
};
