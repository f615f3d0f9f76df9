import { writeSync } from "node:fs";
import { SettingsError } from "../../config/errors.js";
import { defaultSettings, loadSettings } from "../../config/settings.js";
import type { Settings } from "../../config/schema.js";
import { checkContainerd } from "./checks/containerd.js";
import { checkCosts } from "./checks/costs.js";
import { broken, ok, type Finding } from "./checks/finding.js";
import { checkCgroups, checkHugePages, checkLimits } from "./checks/host.js";
import { checkKvm } from "./checks/kvm.js";
import { checkRunc } from "./checks/runc.js";
import { CommandLineError, parseOptions, type Command } from "./command.js";
import { version } from "./version.js";

/** `tine doctor`: what this machine has of what Tine needs. Exit status 1 when containers cannot run. */
export const doctorCommand: Command = {
  usage: "doctor [--json]",
  summary: "tells whether this machine can run containers with Tine, and what to mend",
  details: `Each line is ok, warning (something is slower or missing that not everybody needs) or broken (containers cannot
run), with the remedy below it. The exit status is 1 when something is broken.
`,
  options: { "--json": { text: "the same, for programs" } },
  operands: "none",
  async run(args) {
    const { options, operands } = parseOptions(args, this);
    if (operands.length > 0) throw new CommandLineError(`doctor takes no ${JSON.stringify(operands[0])}`);
    const findings = await examine();
    const healthy = findings.every(({ state }) => state !== "broken");
    if (options.has("--json")) {
      writeSync(1, `${JSON.stringify({ version, healthy, findings }, null, 2)}\n`);
    } else {
      writeSync(1, findings.map(line).join(""));
    }
    return healthy ? 0 : 1;
  },
};

async function examine(): Promise<Finding[]> {
  const { settings, finding } = readSettings();
  const kvm = await checkKvm();
  const works = kvm.every(({ state }) => state !== "broken");
  return [
    ok("node", `Node ${process.versions.node} at ${process.execPath}`),
    finding,
    ...kvm,
    ...(works ? await checkCosts() : []),
    await checkRunc(settings.runtime.runc),
    checkCgroups(),
    ...(await checkContainerd()),
    checkHugePages(),
    ...checkLimits(),
  ];
}

function readSettings(): { settings: Settings; finding: Finding } {
  try {
    return { settings: loadSettings(), finding: ok("settings", "tine.toml is in order, or there is none") };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return {
      settings: defaultSettings(),
      finding: broken("settings", error.message, "see docs/configuration.md"),
    };
  }
}

function line({ name, state, found, remedy }: Finding): string {
  const mended = remedy === undefined ? "" : `${" ".repeat(24)}remedy: ${remedy}\n`;
  return `${state.padEnd(8)} ${name.padEnd(14)} ${found}\n${mended}`;
}
