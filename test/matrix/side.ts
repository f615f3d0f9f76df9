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
  /** With PostgreSQL, redis and Python; only where there are cases for it. */
  readonly application?: string;
  /** The command line that enters the client's network. */
  readonly network: readonly string[];
  /** Command lines that cases call by these names besides. */
  readonly words?: Readonly<Record<string, readonly string[]>>;
}

/** A word of a shell script. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What cases for pods call besides. */
const podVocabulary: Readonly<Record<string, string>> = {
  pod: `
    basis='{"metadata":{"name":"tine-pod","namespace":"default","uid":"tine-uid","attempt":1},"log_directory":"'$D'"}'
    more=$1; [ -n "$more" ] || more={}
    merge "$basis" "$more" > $D/pod.json
    c runp --runtime $R $D/pod.json > $D/pod.id`,
  container: `
    name=$1; more=$2; shift 2
    basis='{"metadata":{"name":"'$name'"},"image":{"image":"'$BB'"},"log_path":"'$name'.log"}'
    command=$(node -p 'JSON.stringify({ command: process.argv.slice(1) })' -- "$@")
    merge "$basis" "$command" "$more" > $D/$name.json
    c create $(cat $D/pod.id) $D/$name.json $D/pod.json > $D/$name.id && c start $(cat $D/$name.id) > /dev/null`,
  merge: `exec node -p 'JSON.stringify(Object.assign({}, ...process.argv.slice(1).map((text) => JSON.parse(text))))' -- "$@"`,
  id: `exec cat $D/$1.id`,
  until_ended: `exec until_ok sh -c 'c inspect "$(id '$1')" | grep -q CONTAINER_EXITED'`,
  state: `exec c inspect --output go-template --template '{{.status.state}} {{.status.exitCode}} {{.status.reason}}' "$(id $1)"`,
};

/** What cases for Kubernetes call besides. */
const kubernetesVocabulary: Readonly<Record<string, string>> = {
  made: `c apply -f - >/dev/null`,
  pod: `
    c apply -f - <<< "{apiVersion: v1, kind: Pod, metadata: {name: $1, labels: {app: $1}}, spec: {runtimeClassName: $R, restartPolicy: Never, terminationGracePeriodSeconds: 3, $2}}" >/dev/null`,
  started: `exec c wait --for=condition=Ready pod/$1 --timeout=60s >/dev/null`,
  ended: `for i in 1 2 3 4; do until_ok sh -c "c get pod $1 -o jsonpath={.status.phase} | grep -qE 'Succeeded|Failed'" && exit 0; done; exit 1`,
  state: `exec c get pod $1 -o jsonpath='{.status.phase}{range .status.containerStatuses[*]} {.name} {.state.terminated.reason} {.state.terminated.exitCode} {.restartCount}{end}{"\\n"}'`,
};

/** The programs that the scripts of cases call, in a folder for PATH. */
async function writeVocabulary(side: Side, folder: string): Promise<void> {
  const client = side.command.map(quoted).join(" ");
  const runtime = quoted(side.runtime);
  const programs: Record<string, string> = {
    ...(side.client === "crictl" ? podVocabulary : {}),
    ...(side.client === "kubectl" ? kubernetesVocabulary : {}),
    ...Object.fromEntries(
      Object.entries(side.words ?? {}).map(([name, word]) => [
        name,
        `exec ${word.map(quoted).join(" ")} "$@"`,
      ]),
    ),
    c: `exec ${client} "$@"`,
    run: `exec ${client} run --runtime ${runtime} "$@"`,
    up: `exec ${client} run --detach --runtime ${runtime} "$@" >/dev/null`,
    terminal: `exec script --quiet --return --command "stty rows 33 cols 101; exec $(printf '%q ' "$@")" /dev/null`,
    typed: `pause=$1; shift; for text in "$@"; do sleep "$pause"; printf "$text"; done; sleep "$pause"`,
    until_logged: `text=$1; looked() { c logs $N 2>&1 | grep -q -- "$text"; }; for i in $(seq 300); do looked && exit 0; sleep 0.2; done; exit 1`,
    until_ok: `for i in $(seq 300); do "$@" && exit 0; sleep 0.2; done; exit 1`,
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
      // What clients say now and then: nerdctl of containerd's version and of containers that end while it looks,
      // docker 20.10 of its own waiting, containerd 2.1 and later of the host's control groups and of its
      // own configuration.
      .replaceAll(
        /^TIME level=(warning|error) msg="(failed to (parse the containerd version|inspect NetNS|remove hosts file)|forward signal child exited|error waiting for container: context canceled|DEPRECATION: The (support for cgroup v1|`bin_dir` property)).*\n/gm,
        "",
      )
      .replaceAll("\r\n", "\n");
  return { status, stdout: clean(stdout), stderr: clean(stderr) };
}

/** With ctr one has to do it oneself. */
async function removeAll(command: readonly string[]): Promise<void> {
  for (const [kind, ...flags] of [["tasks", "--force"], ["containers"]] as const) {
    const { stdout } = await capture([...command, kind, "list", "--quiet"]);
    for (const id of stdout.split("\n").filter((line) => line !== ""))
      await capture([...command, kind, "delete", ...flags, id], { limit: 15_000 });
  }
}

/** With their pods, whose end it waits for. */
async function removeObjects([program = "", ...args]: readonly string[]): Promise<void> {
  const kinds = "deployments,daemonsets,statefulsets,jobs,pods,configmaps,secrets,events";
  const all = ["delete", kinds, "--all", "--grace-period=1", "--timeout=60s"];
  await capture([program, ...args, ...all], { limit: 90_000 });
  await capture([program, ...args, "delete", "services", "--selector=!provider"]);
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
    APP: side.application ?? "",
  };
  try {
    const bash = [...side.network, "bash", "-c", testCase.script];
    const result = await capture(bash, { environment, directory: own, limit: testCase.limit ?? 240_000 });
    return comparable({
      ...result,
      stdout: result.stdout.replaceAll(own, "FOLDER"),
      stderr: result.stderr.replaceAll(own, "FOLDER"),
    });
  } finally {
    const [program = "", ...args] = side.command;
    const trouble = side.words?.["trouble"];
    if (trouble !== undefined) await capture([...trouble, "mend"]);
    if (side.client === "crictl") await capture([program, ...args, "rmp", "--all", "--force"]);
    else if (side.client === "kubectl") await removeObjects(side.command);
    else if (side.client === "ctr") await removeAll(side.command);
    else {
      const { stdout } = await capture([program, ...args, "ps", "--all", "--quiet"]);
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await capture([program, ...args, "rm", "--force", "--volumes", ...ids]);
    }
    await rm(own, { recursive: true, force: true });
  }
}
