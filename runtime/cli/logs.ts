import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { loadSettings } from "../../config/settings.js";
import { systemCodeOf } from "../errors.js";
import { findContainer } from "../jail/running.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";

const details = `What the monitors of a container that runs have reported: faults, refused calls, what went wrong. It is not what
the container's programs wrote: that is what ctr, docker logs, nerdctl logs and crictl logs show. ID may be the
beginning of one. Reports go to containerd's log too, and there they stay when the container is gone.
`;

/** `tine logs ID`: what a container's monitors reported. */
export const logsCommand: Command = {
  usage: "logs ID",
  summary: "shows what a container's monitors reported",
  details,
  options: {},
  operands: "container",
  run(args) {
    const { operands } = parseOptions(args, this);
    const [id, ...rest] = operands;
    if (id === undefined) throw new CommandLineError("no container given");
    if (rest.length > 0) throw new CommandLineError(`logs takes one container, not ${rest.length + 1}`);
    const container = findContainer(loadSettings().runtime.root, id);
    const reported = reports(container.bundle);
    if (reported === "") writeSync(2, `tine logs: the monitors of ${container.id} have reported nothing\n`);
    writeSync(1, reported);
    return 0;
  },
};

/** The file is made with the first report. */
function reports(bundle: string): string {
  try {
    return readFileSync(join(bundle, "monitor.log"), "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return "";
    throw error;
  }
}
