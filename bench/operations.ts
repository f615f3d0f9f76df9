import type { Peer } from "./peers.js";
import { readFigures, type Table } from "./table.js";

/** Single system calls, page faults, threads, processes. */
export async function callTable(peers: readonly Peer[], program: string): Promise<Table> {
  const results: Map<string, number>[] = [];
  for (const peer of peers) results.push(readFigures((await peer.run(program, [])).stdout));
  const names = new Set(results.flatMap((result) => [...result.keys()]));
  return {
    title: "Operations",
    unit: "µs",
    columns: peers.map(({ name }) => name),
    rows: [...names].map((what) => ({ what, figures: results.map((result) => result.get(what)) })),
  };
}
