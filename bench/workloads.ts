import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
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

/** Milliseconds one run may take, preparations included. */
const limit = 180_000;

/** Around each of bench/workloads: what lies between `begin` and `end` is measured. */
const driver = `
set -e
begin() { begun=$(date +%s%N); }
end() { echo "seconds $(date +%s%N) $begun" | awk '{ printf "seconds %.4f\\n", ($2 - $3) / 1e9 }'; }
mkdir /tmp/work
cd /tmp/work
. "$0"
`;

/** Real programs at work in a container, the runtimes taking turns. */
export async function workloadTable(
  ctr: Ctr,
  image: TestImage,
  peers: readonly Peer[],
  say: (text: string) => void,
): Promise<Table> {
  const runtimes = runtimesOf(peers);
  const folder = join(repository, "bench/workloads");
  const rows: { what: string; figures: (number | undefined)[] }[] = [];
  for (const script of (await readdir(folder)).sort()) {
    const [line] = (await readFile(join(folder, script), "utf8")).split("\n");
    const times = runtimes.map((): number[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, runtime] of runtimes.entries()) {
        const time = await run(ctr, image, join(folder, script), runtime);
        if (typeof time === "number") times[index]?.push(time);
        else say(`${script} under ${runtime.name}: ${time.error}`);
      }
    }
    const what = (line ?? script).replace(/^# |\.$/g, "");
    say(
      `${script}: ${times.map((list, index) => `${runtimes[index]?.name} ${median(list).toFixed(2)} s`).join(", ")}`,
    );
    rows.push({ what, figures: times.map((list) => (list.length === rounds ? median(list) : undefined)) });
  }
  return { title: "Programs at work", unit: "s", columns: runtimes.map(({ name }) => name), rows };
}

/** Seconds, or why there are none: gVisor does not run everything. */
async function run(
  ctr: Ctr,
  image: TestImage,
  script: string,
  { runtime, flags }: Runtime,
): Promise<number | { error: string }> {
  const mount = `type=bind,src=${script},dst=/workload.sh,options=bind:ro`;
  const options = { runtime, flags: [...flags, "--mount", mount], limit };
  const result = await ctr.run(image, ["sh", "-c", driver, "/workload.sh"], options);
  const seconds = readFigures(result.stdout).get("seconds");
  if (result.status !== 0 || seconds === undefined) {
    return { error: `status ${result.status}: ${`${result.stdout}${result.stderr}`.trim().slice(-300)}` };
  }
  return seconds;
}
