import { chmodSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CommandLineError, parseArguments, type Command } from "./command.js";
import { containerdTarget } from "./setup/containerd.js";
import { dockerTarget } from "./setup/docker.js";
import { kubernetesTarget } from "./setup/kubernetes.js";
import type { FileChange, Target } from "./setup/target.js";

const targets: Readonly<Record<string, Target>> = {
  containerd: containerdTarget,
  docker: dockerTarget,
  kubernetes: kubernetesTarget,
};

const explanation = `Makes others know of Tine. Nothing is restarted: what to run next is said.

${Object.entries(targets)
  .map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`)
  .join("\n")}

  --print       shows what would be added, and changes nothing (the default)
  --apply       adds it, and leaves everything else in the file as it is
  --undo        takes it out again
  --file FILE   the configuration, in another place than usual

Besides, containerd has to find the shim: tine doctor says whether it does.
`;

/** `tine setup`: containerd's, docker's and Kubernetes' configuration. */
export const setupCommand: Command = {
  usage: "setup containerd|docker|kubernetes [--print | --apply | --undo] [--file FILE]",
  summary: "shows, adds or takes out what containerd, docker and Kubernetes have to know",
  async run(args) {
    const [name, ...rest] = args;
    if (name === "--help") {
      writeSync(1, `usage: tine ${setupCommand.usage}\n\n${explanation}`);
      return 0;
    }
    const target = name !== undefined && Object.hasOwn(targets, name) ? targets[name] : undefined;
    if (target === undefined) {
      const known = Object.keys(targets).join(", ");
      throw new CommandLineError(
        name === undefined ? `whom? ${known}` : `cannot set up ${JSON.stringify(name)}, only ${known}`,
      );
    }
    const known = { "--print": false, "--apply": false, "--undo": false, "--file": true, "--help": false };
    const { options, operands } = parseArguments(rest, known);
    if (operands.length > 0) throw new CommandLineError(`setup takes no ${JSON.stringify(operands[0])}`);
    if (options.has("--help")) return this.run(["--help"]);
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
