import { chmodSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CommandLineError, parseOptions, type Command } from "./command.js";
import { containerdTarget } from "./setup/containerd.js";
import { dockerTarget } from "./setup/docker.js";
import { kubernetesTarget } from "./setup/kubernetes.js";
import type { FileChange, Target } from "./setup/target.js";

const targets: Readonly<Record<string, Target>> = {
  containerd: containerdTarget,
  docker: dockerTarget,
  kubernetes: kubernetesTarget,
};

const details = `Nothing is restarted: what to run next is said.

${Object.entries(targets)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  .join("\n")}

Besides, containerd has to find the shim: tine doctor says whether it does.
`;

/** `tine setup`: containerd's, docker's and Kubernetes' configuration. */
export const setupCommand: Command = {
  usage: "setup containerd|docker|kubernetes [--print | --apply | --undo] [--file FILE]",
  summary: "shows, adds or takes out what containerd, docker and Kubernetes have to know",
  details,
  options: {
    "--print": { text: "shows what would be added, and changes nothing (the default)" },
    "--apply": { text: "adds it, and leaves everything else in the file as it is" },
    "--undo": { text: "takes it out again" },
    "--file": { argument: "FILE", text: "the configuration, in another place than usual" },
  },
  operands: Object.keys(targets),
  async run(args) {
    const [name, ...rest] = args;
    const target = name !== undefined && Object.hasOwn(targets, name) ? targets[name] : undefined;
    if (target === undefined) {
      const known = Object.keys(targets).join(", ");
      throw new CommandLineError(
        name === undefined ? `say which: ${known}` : `cannot set up ${JSON.stringify(name)}, only ${known}`,
      );
    }
    const { options, operands } = parseOptions(rest, this);
    if (operands.length > 0) throw new CommandLineError(`setup takes no ${JSON.stringify(operands[0])}`);
    const chosen = ["--print", "--apply", "--undo"].filter((option) => options.has(option));
    if (chosen.length > 1) throw new CommandLineError(`${chosen.join(" and ")} exclude each other`);
    const { files, shown, next } = await target.plan(options.get("--file")?.at(-1), options.has("--undo"));
    const changing = options.has("--apply") || options.has("--undo");
    if (!changing) writeSync(1, files.map(({ path }) => `# for ${path}\n`).join("") + shown);
    else writeSync(1, files.length === 0 ? shown : files.map(change).join(""));
    if (files.length > 0 && changing) writeSync(1, `next:\n${next.map((line) => `  ${line}\n`).join("")}`);
    return 0;
  },
};

/** Replaces a file in one step, with the permissions it had. */
function change({ path, before, after }: FileChange): string {
  if (after === undefined) {
    rmSync(path);
    return `removed ${path}\n`;
  }
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.tine-new`;
  writeFileSync(beside, after);
  chmodSync(beside, before === undefined ? 0o644 : statSync(path).mode & 0o7777);
  renameSync(beside, path);
  return `${before === undefined ? "made" : "changed"} ${path}\n`;
}
