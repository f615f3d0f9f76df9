import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../test/harness/command.js";
import { foreignArchitecture } from "../test/harness/image.js";
import { programs } from "../test/harness/paths.js";
import { crossCompile, qemuUser } from "../test/harness/translator.js";
import { readFigures, type Table } from "./table.js";

/** Resident memory, in MiB, at which a fork is measured. */
const sizes = [0, 16, 64, 256, 1024, 4096, 8192];

const passes: Readonly<Record<string, string>> = {
  fork: "fork + exit + wait",
  stopped: "of it the parent is stopped",
  first: "of it until the child begins",
  threads: "fork + exit + wait beside seven threads",
  "parent-read": "then the parent reads all",
  "parent-write": "then the parent writes all",
  "child-read": "the child reads all",
  "child-write": "the child writes all",
};

const strategies = ["cow", "selective-cow", "region-copy"];

/** Milliseconds that one size may take in one column. */
const limit = 300_000;

/** What runs the measuring program, and how its arguments begin. */
interface Column {
  readonly name: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Native programs: every strategy beside Linux, with small pages and with huge ones. */
export async function forkTables(program: string): Promise<Table[]> {
  const monitor = join(programs, "tine-vmm");
  return measure("Fork", [
    { name: "native", command: [program] },
    { name: "native, huge pages", command: [program, "huge"] },
    ...strategies.map((name) => ({ name, command: [monitor, `--fork=${name}`, "--", program] })),
  ]);
}

/** The same program, compiled for another processor, under qemu-user. */
export async function translatedForkTables(source: string): Promise<Table[]> {
  const folder = await mkdtemp(join(tmpdir(), "tine-bench-"));
  try {
    const translator = await qemuUser();
    const program = join(folder, "fork");
    await crossCompile(source, program);
    const settings = join(folder, "tine.toml");
    await writeFile(settings, `[translators]\n${foreignArchitecture} = "${translator}"\n`);
    return await measure("Fork under qemu-user", [
      { name: "native", command: [translator, program] },
      ...strategies.map((name) => ({
        name,
        command: [join(programs, "tine"), "do", "--fork", name, "--", program],
        environment: { TINE_CONFIG: settings },
      })),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One size after the other, the columns in turn, so that all of them meet the machine in the same mood. */
async function measure(title: string, columns: readonly Column[]): Promise<Table[]> {
  const results = columns.map(() => new Map<string, number>());
  for (const size of sizes) {
    if (!hasRoomFor(size)) continue;
    for (const [index, { command, environment }] of columns.entries()) {
      const { stdout } = await check([...command, String(size)], {
        limit,
        environment: { ...process.env, ...environment },
      });
      for (const [name, value] of readFigures(stdout)) results[index]?.set(name, value / 1000);
    }
  }
  const names = columns.map(({ name }) => name);
  const rows = (size: number): Table["rows"] =>
    Object.entries(passes).map(([pass, what]) => ({
      what: `${size} MiB: ${what}`,
      figures: results.map((result) => result.get(`${size}.${pass}`)),
    }));
  const memory = sizes.map((size) => ({
    what: `${size} MiB`,
    figures: results.map((result) => inMebibytes(result.get(`${size}.pss`))),
  }));
  return [
    { title, unit: "ms", columns: names, rows: sizes.flatMap(rows).filter(isMeasured) },
    {
      title: `${title}: memory of a child that waits`,
      unit: "MiB",
      columns: names,
      rows: memory.filter(isMeasured),
    },
  ];
}

function isMeasured({ figures }: Table["rows"][number]): boolean {
  return figures.some((figure) => figure !== undefined);
}

/** Of thousands of KiB. */
function inMebibytes(value: number | undefined): number | undefined {
  return value === undefined ? undefined : (value * 1000) / 1024;
}

/** A child with a copy of all, and something for the rest of the machine. */
function hasRoomFor(size: number): boolean {
  const available = /^MemAvailable: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return size * 2.2 < Number(available) / 1024;
}
