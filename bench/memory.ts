import { readFile, readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { freshId, type Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";
import { runtimesOf, type Peer } from "./peers.js";
import type { Table } from "./table.js";

const crowd = 20;

/** What idle containers take: their processes and shims, by proportional set size. */
export async function memoryTable(ctr: Ctr, image: TestImage, peers: readonly Peer[]): Promise<Table> {
  const runtimes = runtimesOf(peers);
  const tasks: number[] = [];
  const shims: number[] = [];
  for (const { runtime, flags } of runtimes) {
    const before = await ctr.containerd.shims();
    const ids: string[] = [];
    try {
      for (let number = 0; number < crowd; number += 1) {
        const id = freshId("idle");
        ids.push(id);
        const options = { runtime, id, flags: [...flags, "--detach"] };
        await ctr.check(ctr.runArguments(image, ["sleep", "3600"], options));
      }
      await sleep(1000);
      const pids = await taskPids(ctr, ids);
      tasks.push((await mebibytes(pids)) / crowd);
      const ours = (await ctr.containerd.shims()).filter((pid) => !before.includes(pid));
      shims.push((await mebibytes(ours)) / crowd);
    } finally {
      for (const id of ids) {
        await ctr.capture(["tasks", "delete", "--force", id]);
        await ctr.capture(["containers", "delete", id]);
      }
    }
  }
  return {
    title: `Memory of each of ${crowd} idle containers (proportional set size)`,
    unit: "MiB",
    columns: runtimes.map(({ name }) => name),
    rows: [
      { what: "its process", figures: tasks },
      { what: "its share of the shims", figures: shims },
    ],
  };
}

async function taskPids(ctr: Ctr, ids: readonly string[]): Promise<number[]> {
  const { stdout } = await ctr.check(["tasks", "list"]);
  const pids = new Map(stdout.split("\n").map((line) => line.split(/\s+/) as [string, string]));
  return ids.map((id) => Number(pids.get(id)));
}

async function mebibytes(pids: readonly number[]): Promise<number> {
  const known = new Set(await readdir("/proc"));
  let kibibytes = 0;
  for (const pid of pids) {
    if (!known.has(String(pid))) throw new Error(`process ${pid} is gone`);
    const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    kibibytes += Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1]);
  }
  return kibibytes / 1024;
}
