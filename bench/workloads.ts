import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { CommandResult } from "../test/harness/command.js";
import type { Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";
import { repository } from "../test/harness/paths.js";
import { runtimesOf, type Peer, type Runtime } from "./peers.js";
import { median, readFigures, type Table } from "./table.js";

/** Packages that the work needs, beside what the image holds anyway. */
export const workloadPackages = [
  "apache2-utils",
  "autoconf",
  "automake",
  "git",
  "make",
  "nginx-light",
  "postgresql",
  "redis-tools",
  "sqlite3",
  "util-linux",
];

const rounds = 3;

/** Milliseconds that one script may take in all, beyond which there are no further rounds of it. */
const enough = 45_000;

/** Milliseconds one run may take, preparations included. */
export const workLimit = 300_000;

/** Around each of bench/workloads: what lies between `begin` and `end` is measured. */
export const driver = `
set -e
# A small date knows no nanoseconds.
now() { case $(date +%N) in *[0-9]) date +%s%N ;; *) awk '{ printf "%.0f\\n", $1 * 1e9 }' /proc/uptime ;; esac; }
begin() { begun=$(now); }
end() { echo "seconds $(now) $begun" | awk '{ printf "seconds %.4f\\n", ($2 - $3) / 1e9 }'; }
mkdir /tmp/work
cd /tmp/work
. "$0"
`;

/** Seconds, or why there are none: gVisor does not run everything. */
export type WorkResult = number | { error: string };

/** What does a script's work. */
export interface Worker {
  readonly name: string;
  run(script: string): Promise<WorkResult>;
}

/** Real programs at work in a container, the runtimes taking turns. */
export async function workloadTable(
  ctr: Ctr,
  image: TestImage,
  peers: readonly Peer[],
  say: (text: string) => void,
): Promise<Table> {
  const workers = runtimesOf(peers).map((runtime) => inContainer(ctr, image, runtime));
  const rows = await measureScripts(join(repository, "bench/workloads"), workers, say);
  return { title: "Programs at work", unit: "s", columns: workers.map(({ name }) => name), rows };
}

/** A folder's scripts, one after the other, the workers taking turns at each. */
export async function measureScripts(
  folder: string,
  workers: readonly Worker[],
  say: (text: string) => void,
): Promise<Table["rows"]> {
  const rows: { what: string; figures: (number | undefined)[] }[] = [];
  for (const script of (await readdir(folder)).sort()) {
    const [line] = (await readFile(join(folder, script), "utf8")).split("\n");
    const times = workers.map((): number[] => []);
    const begin = performance.now();
    let made = 0;
    for (; made < rounds && performance.now() - begin < enough; made += 1) {
      for (const [index, worker] of workers.entries()) {
        const time = await worker.run(join(folder, script)).catch(noResult);
        if (typeof time === "number") times[index]?.push(time);
        else say(`${script} under ${worker.name}: ${time.error}`);
      }
    }
    const what = (line ?? script).replace(/^# |\.$/g, "");
    say(
      `${script}: ${times.map((list, index) => `${workers[index]?.name} ${median(list).toFixed(2)} s`).join(", ")}`,
    );
    rows.push({ what, figures: times.map((list) => (list.length === made ? median(list) : undefined)) });
  }
  return rows;
}

function noResult(error: unknown): WorkResult {
  return { error: (error instanceof Error ? error.message : String(error)).slice(-300) };
}

/** A container of its own for each run. */
export function inContainer(ctr: Ctr, image: TestImage, { name, runtime, flags }: Runtime): Worker {
  return {
    name,
    async run(script) {
      const mount = `type=bind,src=${script},dst=/workload.sh,options=bind:ro`;
      const options = { runtime, flags: [...flags, "--mount", mount], limit: workLimit };
      return resultOf(await ctr.run(image, ["sh", "-c", driver, "/workload.sh"], options));
    },
  };
}

/** What the driver's words come to. */
export function resultOf({ status, stdout, stderr }: CommandResult): WorkResult {
  const seconds = readFigures(stdout).get("seconds");
  if (status !== 0 || seconds === undefined) {
    return { error: `status ${status}: ${`${stdout}${stderr}`.trim().slice(-300)}` };
  }
  return seconds;
}
