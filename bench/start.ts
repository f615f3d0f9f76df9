import { CommandError } from "../test/harness/command.js";
import { freshId, type Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";
import { runtimesOf, type Peer, type Runtime } from "./peers.js";
import { median, type Table } from "./table.js";

const rounds = 15;

/** `ctr run --rm` of a program that does nothing: the first one of a namespace, and those that follow. */
export async function startTable(ctr: Ctr, image: TestImage, peers: readonly Peer[]): Promise<Table> {
  const runtimes = runtimesOf(peers);
  const first: number[] = [];
  const later = runtimes.map((): number[] => []);
  const last = runtimes.map((): number[] => []);
  for (const runtime of runtimes) first.push(await time(ctr, image, runtime));
  // Something that goes on running keeps a shim that serves many containers alive, as on a machine in use.
  const kept: string[] = [];
  try {
    for (const { runtime, flags } of runtimes) {
      const id = freshId("keep");
      const options = { runtime, id, flags: [...flags, "--detach"] };
      await ctr.check(ctr.runArguments(image, ["sleep", "3600"], options));
      kept.push(id);
    }
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, runtime] of runtimes.entries()) later[index]?.push(await time(ctr, image, runtime));
    }
  } finally {
    for (const id of kept) {
      await ctr.capture(["tasks", "delete", "--force", id]);
      await ctr.capture(["containers", "delete", id]);
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, runtime] of runtimes.entries()) last[index]?.push(await time(ctr, image, runtime));
  }
  return {
    title: "Start: ctr run --rm IMAGE true",
    unit: "ms",
    columns: runtimes.map(({ name }) => name),
    rows: [
      { what: "the first in a namespace", figures: first },
      { what: "beside a container that runs", figures: later.map(median) },
      { what: "alone", figures: last.map(median) },
    ],
  };
}

async function time(ctr: Ctr, image: TestImage, { name, runtime, flags }: Runtime): Promise<number> {
  const begin = performance.now();
  const result = await ctr.run(image, ["true"], { runtime, flags: [...flags] });
  const spent = performance.now() - begin;
  if (result.status !== 0) throw new CommandError("failed", `${name}: true failed\n${result.stderr}`, result);
  return spent;
}
