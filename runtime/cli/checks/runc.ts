import { broken, ok, warning, type Finding } from "./finding.js";
import { atLeast, findProgram, outputOf, versionIn } from "./programs.js";

const oldest = "1.1.0";

/** Whether the OCI runtime that makes the jail is there. */
export async function checkRunc(name: string): Promise<Finding> {
  const program = findProgram(name);
  if (program === undefined) {
    return broken("runc", `${name} is not found`, "apt-get install runc, or set runtime.runc in tine.toml");
  }
  const { status, stdout, stderr } = await outputOf(program, ["--version"]);
  const version = versionIn(stdout);
  if (status !== 0 || version === undefined) {
    return broken("runc", `${program} --version gave ${status}: ${stderr.trim()}`, "reinstall runc");
  }
  if (!atLeast(version, oldest)) {
    return warning("runc", `${program} is ${version}`, `Tine is tested with ${oldest} and newer`);
  }
  return ok("runc", `${program} is ${version}`);
}
