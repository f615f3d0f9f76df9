import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { DifferentialGroup } from "./case-table.js";

/** What a case left behind, on either side. */
export interface CaseOutcome {
  status: string;
  stdout: string;
  stderr: string;
  /** One line a file: kind, mode, and its content's digest or target. */
  files: string[];
}

/** Where a group's folder is seen by its programs: the same on both sides, since paths get into output. */
export const mountPoint = "/work";

/** Seconds one case may take. */
const caseLimit = 240;

/**
 * Lays a group's scripts out in an empty folder, with a driver that runs them in turn: each in a directory of its
 * own, with nothing to read, its output in files beside it.
 */
export function layOut(group: DifferentialGroup, folder: string): void {
  chmodSync(folder, 0o755);
  group.cases.forEach((one, index) => {
    const place = join(folder, String(index));
    mkdirSync(join(place, "files"), { recursive: true });
    writeFileSync(join(place, "script"), one.script);
  });
  writeFileSync(join(folder, "run"), `${group.run}\n`);
  writeFileSync(
    join(folder, "driver"),
    [
      "unset LS_COLORS",
      "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TZ=UTC",
      `for place in $(ls ${mountPoint} | grep '^[0-9]' | sort -n); do`,
      `  cd ${mountPoint}/$place/files || exit 1`,
      `  timeout -k 2 ${caseLimit} sh ${mountPoint}/run ../script >../stdout 2>../stderr </dev/null`,
      "  echo $? >../status",
      "done",
      "",
    ].join("\n"),
  );
}

/** Reads what a case left in a folder that its group's driver ran over. */
export function readOutcome(folder: string, index: number): CaseOutcome {
  const place = join(folder, String(index));
  return {
    status: textOf(join(place, "status")).trim(),
    stdout: textOf(join(place, "stdout")),
    stderr: withoutJobNotices(withoutProcessIds(textOf(join(place, "stderr")))),
    files: listFiles(join(place, "files"), ""),
  };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "(not there)";
  }
}

/** `../script: line 3: 1234 Killed`: shells put process ids into what they say of a child's death. */
function withoutProcessIds(text: string): string {
  return text.replace(/(line \d+:) +\d+ /g, "$1 PID ");
}

/** dash tells of a background job's death when it happens to look, which is not always before it ends itself. */
function withoutJobNotices(text: string): string {
  return text.replace(/^Terminated\n/gm, "");
}

function listFiles(folder: string, prefix: string): string[] {
  const lines: string[] = [];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const status = lstatSync(path);
    const mode = (status.mode & 0o7777).toString(8);
    const shown = prefix + name;
    if (status.isDirectory()) lines.push(`directory ${mode} ${shown}`, ...listFiles(path, `${shown}/`));
    else if (status.isSymbolicLink()) lines.push(`link ${shown} -> ${readlinkSync(path)}`);
    else if (status.isFile()) {
      const digest = createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
      lines.push(`file ${mode} ${shown} ${status.size} ${digest}`);
    } else lines.push(`other ${(status.mode >> 12).toString(8)} ${mode} ${shown}`);
  }
  return lines;
}
