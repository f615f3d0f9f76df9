import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg, release } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { capture, check } from "../test/harness/command.js";
import { PrivateContainerd } from "../test/harness/containerd.js";
import { Ctr } from "../test/harness/ctr.js";
import { busyboxImage, debianImage, debianPackages, type TestImage } from "../test/harness/image.js";
import { programs, repository } from "../test/harness/paths.js";
import { describe, type Measured, type Results } from "./documentation.js";
import { forkTables, translatedForkTables } from "./fork.js";
import { forkWorkTable, translatedForkWorkTable } from "./fork-work.js";
import { memoryTable } from "./memory.js";
import { callTable } from "./operations.js";
import { findPeers } from "./peers.js";
import { processorPackages, processorTable } from "./processor.js";
import { startTable } from "./start.js";
import { markdown, type Table } from "./table.js";
import { workloadPackages, workloadTable } from "./workloads.js";

// `npm run bench [-- [--save NAME] [GROUP…]]`: figures beside peers in the same run; --save keeps them in
// bench/results.

const groups = [
  "start",
  "fork",
  "fork-translated",
  "fork-work",
  "fork-work-translated",
  "calls",
  "processor",
  "work",
  "memory",
] as const;
type Group = (typeof groups)[number];

/** Those that are measured when nobody names any: minutes in all. */
const usual: readonly Group[] = groups.filter((name) => !/^fork-/.test(name));

function say(text: string): void {
  process.stderr.write(`[bench] ${text}\n`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { save: { type: "string" } },
    allowPositionals: true,
  });
  const chosen = positionals.length === 0 ? usual : positionals;
  for (const name of chosen) {
    if (!groups.some((group) => group === name))
      throw new Error(`no group ${name}; there are ${groups.join(", ")}`);
  }
  if (process.getuid?.() !== 0) throw new Error("the benchmarks need root: containerd does");
  await using containerd = await PrivateContainerd.start({ keepImages: true });
  containerd.stopOnSignals(say);
  const ctr = new Ctr(containerd, "tine-bench");
  const measured: Measured[] = [];
  const failures: string[] = [];
  const machine = await describeMachine();
  process.stdout.write(`${machine}\n\n`);
  for (const group of groups.filter((name) => (chosen as readonly string[]).includes(name))) {
    say(`measuring ${group}`);
    const begin = performance.now();
    const before = loadavg()[0] ?? 0;
    try {
      const tables = await measure(group, ctr);
      const date = new Date().toISOString().slice(0, 10);
      for (const table of tables) {
        process.stdout.write(`${markdown(table)}\n`);
        measured.push({ ...table, date, machine, load: [before, loadavg()[0] ?? 0] });
      }
      // At once: a later group may fail, or take longer than somebody waits.
      if (values.save !== undefined) {
        await save(values.save, measured);
      }
    } catch (error) {
      // The other groups are measured all the same.
      failures.push(`${group}: ${error instanceof Error ? error.message : String(error)}`);
      say(`${group} failed`);
    }
    say(`${group} took ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  }
  if (failures.length > 0) throw new Error(failures.join("\n"));
}

async function measure(group: Group, ctr: Ctr): Promise<readonly Table[]> {
  const small = await busyboxImage(say);
  await ctr.import(small);
  const peers = await findPeers(ctr, small);
  switch (group) {
    case "start":
      return [await startTable(ctr, small, peers)];
    case "fork":
      return forkTables(await compile("fork"));
    case "fork-translated":
      return translatedForkTables(join(repository, "bench/programs/fork.c"));
    case "fork-work":
      return [await forkWorkTable(ctr, say)];
    case "fork-work-translated":
      return [await translatedForkWorkTable(ctr, say)];
    case "calls":
      return [await callTable(peers, await compile("calls"))];
    case "memory":
      return [await memoryTable(await apart(ctr, small), small, peers)];
    case "work": {
      const image = await debianImage([...debianPackages, ...workloadPackages], say);
      await ctr.import(image);
      return [await workloadTable(ctr, image, peers, say)];
    }
    case "processor": {
      const image = await debianImage([...debianPackages, ...processorPackages], say);
      await ctr.import(image);
      return [await processorTable(ctr, image, peers)];
    }
  }
}

/** A namespace whose shims nobody has used yet. */
async function apart({ containerd }: Ctr, image: TestImage): Promise<Ctr> {
  const ctr = new Ctr(containerd, "tine-bench-memory");
  await ctr.import(image);
  return ctr;
}

/** Compiles one of bench/programs for any root file system: without shared libraries. */
async function compile(name: string): Promise<string> {
  const folder = join(repository, "build/bench");
  await mkdir(folder, { recursive: true });
  const program = join(folder, name);
  const source = join(repository, "bench/programs", `${name}.c`);
  await check(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o", program, source]);
  return program;
}

async function describeMachine(): Promise<string> {
  const probe = await capture([join(programs, "tine-vmm"), "--probe"]);
  const { kvm, stub } = (probe.status === 0 ? JSON.parse(probe.stdout) : {}) as {
    kvm?: string;
    stub?: string;
  };
  const memory = /^MemTotal: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  const processors = cpus();
  return [
    `${processors.length} × ${processors[0]?.model ?? "unknown processor"}`,
    `${(Number(memory) / 2 ** 20).toFixed(0)} GiB`,
    `Linux ${release()}`,
    `KVM: ${kvm ?? "unknown"}, ${stub ?? "unknown"} stub`,
  ].join("; ");
}

/** Keeps what was measured; groups that were not stay as an earlier run left them. */
async function save(name: string, measured: readonly Measured[]): Promise<void> {
  const folder = join(repository, "bench/results");
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  const earlier = await readFile(path, "utf8").then(
    (text) => (JSON.parse(text) as Results).tables,
    () => [],
  );
  const others = earlier.filter(({ title }) => measured.every((table) => table.title !== title));
  const tables = [...others, ...measured].sort((a, b) => a.title.localeCompare(b.title));
  await writeFile(path, `${JSON.stringify({ tables } satisfies Results, null, 2)}\n`);
  const note = `Made by \`npm run bench -- --save ${name}\`.`;
  await writeFile(join(folder, `${name}.md`), `# ${name}\n\n${note}\n\n${tables.map(describe).join("\n")}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
