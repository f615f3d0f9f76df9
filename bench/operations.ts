import type { Peer } from "./peers.js";
import { readFigures, type Table } from "./table.js";

/** Resident memory, in MiB, at which a fork is measured. */
const sizes = [0, 16, 64, 256, 1024];

const passes: Readonly<Record<string, string>> = {
  fork: "fork + exit + wait",
  "parent-read": "then the parent reads all",
  "parent-write": "then the parent writes all",
  "child-read": "the child reads all",
  "child-write": "the child writes all",
};

/** fork + exit + wait, and both sides' next passes over the memory. */
export async function forkTable(peers: readonly Peer[], program: string): Promise<Table> {
  const results: Map<string, number>[] = [];
  for (const peer of peers) results.push(readFigures((await peer.run(program, sizes.map(String))).stdout));
  const rows = sizes.flatMap((size) =>
    Object.entries(passes)
      .filter(([pass]) => size > 0 || pass === "fork")
      .map(([pass, what]) => ({
        what: `${size} MiB: ${what}`,
        figures: results.map((result) => inMilliseconds(result.get(`${size}.${pass}`))),
      })),
  );
  return { title: "Fork", unit: "ms", columns: peers.map(({ name }) => name), rows };
}

function inMilliseconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1000;
}

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
