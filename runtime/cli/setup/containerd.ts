import { parse } from "smol-toml";
import { messageOf } from "../../errors.js";
import { findProgram, outputOf, versionIn } from "../checks/programs.js";
import { readIfThere } from "./read.js";
import { SetupError, type Plan, type Target } from "./target.js";

const usualFile = "/etc/containerd/config.toml";
const begin = "# begin: tine (tine setup containerd --undo removes it)";
const end = "# end: tine";

/** containerd's CRI plug-in. `ctr` and `nerdctl` need no configuration: they name the runtime themselves. */
export const containerdTarget: Target = {
  summary: "a handler `tine` for pods; ctr and nerdctl need none",
  async plan(file = usualFile, undo) {
    const before = readIfThere(file);
    if (undo) return undoing(file, before);
    if (before?.includes(begin)) return { files: [], shown: `${file} has it already.\n`, next: [] };
    const version = before === undefined ? await newVersion() : versionOf(before, file);
    const block = `${begin}\n${handler(version)}${end}\n`;
    const head = before ?? `version = ${version}\n`;
    const after = `${head}${head.endsWith("\n") ? "" : "\n"}\n${block}`;
    checkResult(after, file, block);
    return { files: [{ path: file, before, after }], shown: block, next: [restart] };
  },
};

const restart = "systemctl restart containerd    # containers that run go on";

function undoing(path: string, before: string | undefined): Plan {
  const from = before?.indexOf(begin) ?? -1;
  const to = before?.indexOf(end, from) ?? -1;
  if (before === undefined || from < 0 || to < 0)
    return { files: [], shown: `${path} has nothing of Tine.\n`, next: [] };
  const rest = before.slice(0, from).replace(/\n\n$/, "\n") + before.slice(to + end.length + 1);
  const block = before.slice(from, to + end.length + 1);
  // What a set-up made alone goes altogether.
  const after = /^version = \d+\n$/.test(rest) ? undefined : rest;
  return { files: [{ path, before, after }], shown: block, next: [restart] };
}

function handler(version: number): string {
  const plugin = version >= 3 ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
  return `[plugins.'${plugin}'.containerd.runtimes.tine]\n  runtime_type = 'io.containerd.tine.v2'\n`;
}

/** The version of a file that containerd would take: 2 up to containerd 1.7, 3 from 2.0 on. */
async function newVersion(): Promise<number> {
  const program = findProgram("containerd");
  if (program === undefined) return 2;
  const { stdout } = await outputOf(program, ["--version"]);
  const version = versionIn(stdout.replace(/^\S+ \S+ /, "")) ?? "1";
  return Number(version.split(".")[0]) >= 2 ? 3 : 2;
}

function versionOf(text: string, file: string): number {
  let version: unknown;
  try {
    version = parse(text)["version"] ?? 1;
  } catch (error) {
    throw new SetupError(`${file} cannot be read: ${messageOf(error).split("\n")[0]}`);
  }
  if (version === 2 || version === 3) return version;
  throw new SetupError(
    `${file} is of version ${String(version)}; run containerd config migrate, or begin the file with version = 2`,
  );
}

/** Tables that the file writes in one line cannot be added to. */
function checkResult(text: string, file: string, block: string): void {
  try {
    parse(text);
  } catch {
    throw new SetupError(`${file} has this table in another form; add by hand:\n${block}`);
  }
}
