import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { repository } from "../../harness/paths.js";

/** What a daemon for tests does after it was started. */
export type Behaviour =
  | "serve"
  | "serve without Hold"
  | "answer Unavailable, then leave"
  | "exit"
  | "die by signal"
  | "throw"
  | "lack a module"
  | "never get ready";

/** What it writes down of how it was started, as one line of JSON per start. */
export interface DaemonRecord {
  readonly pid: number;
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where each of its descriptors up to 9 points. */
  readonly descriptors: Readonly<Record<string, string>>;
  readonly session: number;
  readonly group: number;
  readonly oomScore: number;
}

const library = join(repository, "build/js");

const script = (behaviour: Behaviour, records: string): string => `
  import { appendFileSync, closeSync, readFileSync, readlinkSync, unlinkSync, writeSync } from "node:fs";
  import { StatusCode, TtrpcError, TtrpcServer } from ${JSON.stringify(join(library, "shim/ttrpc/index.js"))};
  ${behaviour === "lack a module" ? 'import "./none.js";' : ""}
  const behaviour = ${JSON.stringify(behaviour)};
  const descriptors = {};
  for (let number = 0; number < 10; number += 1) {
    try { descriptors[number] = readlinkSync("/proc/self/fd/" + number); } catch { continue; }
  }
  const stat = readFileSync("/proc/self/stat", "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const record = {
    pid: process.pid, arguments: process.argv.slice(2), directory: process.cwd(), environment: process.env,
    descriptors, group: Number(fields[2]), session: Number(fields[3]),
    oomScore: Number(readFileSync("/proc/self/oom_score_adj", "utf8")),
  };
  appendFileSync(${JSON.stringify(records)}, JSON.stringify(record) + "\\n");
  const socket = process.argv[process.argv.indexOf("--socket") + 1];
  if (behaviour === "exit") process.exit(3);
  if (behaviour === "die by signal") process.kill(process.pid, "SIGKILL");
  if (behaviour === "throw") throw new Error("no such feature");
  process.stderr.write("started\\n");
  const server = new TtrpcServer();
  const hold = () => {
    if (behaviour === "serve") return new Uint8Array(0);
    unlinkSync(socket);
    setTimeout(() => process.exit(), 50);
    throw new TtrpcError(StatusCode.Unavailable, "leaving");
  };
  server.register("tine.shim.v1.Launcher", behaviour === "serve without Hold" ? {} : { Hold: hold });
  await server.listen({ fd: 3 });
  if (behaviour !== "never get ready") { writeSync(4, "1"); closeSync(4); }
  setTimeout(() => process.exit(), 30000);
`;

/** Makes a folder for TINE_JS whose daemon behaves as told and writes records to a file. */
export async function makeLibrary(folder: string, behaviour: Behaviour, records: string): Promise<void> {
  const preload = join(folder, "shim/launcher/early-failure.cjs");
  await mkdir(dirname(preload), { recursive: true });
  await rm(preload, { force: true });
  await symlink(join(library, "shim/launcher/early-failure.cjs"), preload);
  await mkdir(join(folder, "linked"), { recursive: true });
  await writeFile(join(folder, "linked/daemon.mjs"), script(behaviour, records));
  await writeFile(join(folder, "linked/daemon.cjs"), 'void import("./daemon.mjs");\n');
  await writeFile(
    join(folder, "linked/delete.cjs"),
    "process.stdout.write(JSON.stringify([process.cwd(), ...process.argv.slice(2)])); process.exitCode = 5;",
  );
}
