import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../test/harness/command.js";
import { foreignArchitecture } from "../test/harness/image.js";
import { programs } from "../test/harness/paths.js";
import { crossCompile, qemuUser } from "../test/harness/translator.js";
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
export async function forkTable(program: string): Promise<Table> {
  const monitor = join(programs, "tine-vmm");
  return measure("Fork", [
    { name: "native", command: [program] },
    { name: "native, huge pages", command: [program, "huge"] },
    ...strategies.map((name) => ({ name, command: [monitor, `--fork=${name}`, "--", program] })),
  ]);
}

/** The same program, compiled for another processor, under qemu-user. */
export async function translatedForkTable(source: string): Promise<Table> {
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
async function measure(title: string, columns: readonly Column[]): Promise<Table> {
  const results = columns.map(() => new Map<string, number>());
  for (const size of sizes) {
    for (const [index, { command, environment }] of columns.entries()) {
      const { stdout } = await check([...command, String(size)], {
        limit,
        environment: { ...process.env, ...environment },
      });
      for (const [name, value] of readFigures(stdout)) results[index]?.set(name, value / 1000);
    }
  }
  const rows = sizes.flatMap((size) =>
    Object.entries(passes).map(([pass, what]) => ({
      what: `${size} MiB: ${what}`,
      figures: results.map((result) => result.get(`${size}.${pass}`)),
    })),
  );
  return {
    title,
    unit: "ms",
    columns: columns.map(({ name }) => name),
    rows: rows.filter(({ figures }) => figures.some((figure) => figure !== undefined)),
  };
}
