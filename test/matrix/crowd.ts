import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CommandError } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { repository } from "../harness/paths.js";
import { nothing, remainsOf } from "../fault/remains.js";
import type { CaseResult } from "./results.js";
import { isDeepStrictEqual } from "node:util";

const client = "crowd";
const clients = 8;
const containers = 2000;
/** How many containers lie between two looks at the daemon. */
const step = 100;

/** The daemon after so many containers. */
interface Look {
  readonly containers: number;
  readonly residentKiB: number;
  readonly descriptors: number;
}

/** Hundreds of containers started and removed by eight clients at once; the daemon's memory meanwhile is kept in crowd.json. */
export async function crowdResults(): Promise<CaseResult[]> {
  const prefix = `crowd-${process.pid}`;
  await using containerd = await PrivateContainerd.start();
  const ctr = new Ctr(containerd);
  const image = await busyboxImage();
  await ctr.import(image);
  // It keeps the daemon.
  await ctr.check(ctr.runArguments(image, ["sleep", "10000"], { id: "stays", flags: ["--detach"] }));
  const [shim] = await containerd.shims();
  if (shim === undefined) throw new Error("no daemon serves the container");
  const curve: Look[] = [await look(shim, 0)];
  const wrong: string[] = [];
  let next = 0;
  let done = 0;
  const oneClient = async (): Promise<void> => {
    while (next < containers) {
      const number = next++;
      const status = number % 100;
      const script = `(exit ${status}) & wait $!; echo ${number} $?; exit ${status}`;
      const id = `${prefix}-${number}`;
      const found = await ctr
        .run(image, ["sh", "-c", script], { id, limit: 30_000 })
        .catch(async (error: unknown) => {
          if (!(error instanceof CommandError)) throw error;
          // What containerd and the daemon have of one that its client waits for in vain.
          const tasks = (await ctr.capture(["task", "list"])).stdout;
          const lines = (text: string): string[] => text.split("\n").filter((line) => line.includes(id));
          return { ...error.result, tasks: lines(tasks), log: lines(containerd.log) };
        });
      const expected = { status, stdout: `${number} ${status}\n`, stderr: "" };
      if (!isDeepStrictEqual(found, expected)) wrong.push(JSON.stringify({ expected, found }));
      done += 1;
      if (done % step === 0) curve.push(await look(shim, done));
    }
  };
  await Promise.all(Array.from({ length: clients }, oneClient));
  const left = await remainsOf(containerd, prefix);
  await writeFile(join(repository, "test/matrix/crowd.json"), `${JSON.stringify(curve, undefined, 1)}\n`);
  for (const line of wrong) console.log(line);
  for (const { containers: after, residentKiB, descriptors } of curve)
    console.log(`${after} containers: ${residentKiB} KiB, ${descriptors} descriptors`);
  // The first hundreds fill the heap that V8 allows itself; from there on it has to stay as it is.
  const settled = curve.filter((entry) => entry.containers >= 500).map(({ residentKiB }) => residentKiB);
  const [half, rest] = [settled.slice(0, settled.length / 2), settled.slice(settled.length / 2)];
  const flat = Math.max(...rest) <= Math.max(...half) * 1.05;
  const result = (title: string, good: boolean): CaseResult => {
    console.log(`${good ? "same" : "different"}: ${client}: ${title}`);
    return { client, section: "Many at once", title, outcome: good ? "same" : "different" };
  };
  return [
    result(
      `${containers} containers of ${clients} clients: each one's output and status`,
      wrong.length === 0,
    ),
    result(
      "nothing is left: processes, mounts, control groups, bundles, jails",
      isDeepStrictEqual(left, nothing),
    ),
    result(
      "the daemon is the same, with no more descriptors",
      (curve.at(-1)?.descriptors ?? 0) <= (curve[0]?.descriptors ?? 0) + 4,
    ),
    result("the daemon's memory stays as it is after the first hundreds (test/matrix/crowd.json)", flat),
  ];
}

async function look(pid: number, count: number): Promise<Look> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const residentKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { containers: count, residentKiB, descriptors: (await readdir(`/proc/${pid}/fd`)).length };
}
