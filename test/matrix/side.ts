import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { capture, type CommandResult } from "../harness/command.js";
import type { Case, Client } from "./cases/case.js";

/** A client, ready to run cases with one runtime. */
export interface Side {
  readonly client: Client;
  /** The command line of the client, to which arguments are added. */
  readonly command: readonly string[];
  /** What `run --runtime` is given. */
  readonly runtime: string;
  readonly busybox: string;
  readonly debian: string;
  /** The command line that enters the client's network. */
  readonly network: readonly string[];
}

/** A word of a shell script. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The programs that the scripts of cases call, in a folder for PATH. */
async function writeVocabulary(side: Side, folder: string): Promise<void> {
  const client = side.command.map(quoted).join(" ");
  const runtime = quoted(side.runtime);
  const programs: Record<string, string> = {
    c: `exec ${client} "$@"`,
    run: `exec ${client} run --runtime ${runtime} "$@"`,
    up: `exec ${client} run --detach --runtime ${runtime} "$@" >/dev/null`,
    terminal: `exec script --quiet --return --command "stty rows 33 cols 101; exec $(printf '%q ' "$@")" /dev/null`,
    typed: `pause=$1; shift; for text in "$@"; do sleep "$pause"; printf "$text"; done; sleep "$pause"`,
    until_ok: `for i in $(seq 75); do "$@" && exit 0; sleep 0.2; done; exit 1`,
  };
  await mkdir(folder, { recursive: true });
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!/bin/bash\n${body}\n`, { mode: 0o755 });
  }
}

/** What differs from run to run by nature: ids, dates, addresses. */
function comparable({ status, stdout, stderr }: CommandResult): CommandResult {
  const clean = (text: string): string =>
    text
      .replaceAll(/io\.containerd\.(tine|runc)\.v2/g, "RUNTIME")
      .replaceAll(/\b[0-9a-f]{64}\b/g, "ID")
      .replaceAll(/time="[^"]*"/g, "TIME")
      // What a terminal shows of an end of input that was typed.
      .replaceAll("^@", "")
      // What nerdctl says about itself, of containerd's version and of containers that end while it looks.
      .replaceAll(
        /^TIME level=(warning|error) msg="(failed to (parse the containerd version|inspect NetNS|remove hosts file)|forward signal child exited).*\n/gm,
        "",
      )
      .replaceAll("\r\n", "\n");
  return { status, stdout: clean(stdout), stderr: clean(stderr) };
}

/** Runs a case's script and removes the containers it left. */
export async function runCase(testCase: Case, side: Side, folder: string): Promise<CommandResult> {
  const vocabulary = join(folder, "bin");
  await writeVocabulary(side, vocabulary);
  const own = await mkdtemp(join(folder, "case-"));
  const environment = {
    ...process.env,
    PATH: `${vocabulary}:${process.env["PATH"] ?? ""}`,
    LC_ALL: "C.UTF-8",
    TERM: "xterm",
    N: "tine-case",
    D: own,
    R: side.runtime,
    BB: side.busybox,
    DEB: side.debian,
  };
  try {
    const bash = [...side.network, "bash", "-c", testCase.script];
    const result = await capture(bash, { environment, directory: own, limit: 60_000 });
    return comparable({
      ...result,
      stdout: result.stdout.replaceAll(own, "FOLDER"),
      stderr: result.stderr.replaceAll(own, "FOLDER"),
    });
  } finally {
    const [program = "", ...args] = side.command;
    const ids = (await capture([program, ...args, "ps", "--all", "--quiet"])).stdout
      .split("\n")
      .filter(Boolean);
    if (ids.length > 0) await capture([program, ...args, "rm", "--force", "--volumes", ...ids]);
    await rm(own, { recursive: true, force: true });
  }
}
