import { posix } from "node:path";
import { addon } from "../../native/addon/addon.js";
import { RuntimeError } from "../errors.js";
import type { Program } from "./specification.js";

/** <asm-generic/errno-base.h> and <asm-generic/errno.h>. */
const ENOENT = 2;
const EACCES = 13;
const ENOTDIR = 20;
const EISDIR = 21;
const ELOOP = 40;

/**
 * Makes sure that a guest's program is there and may be executed, inside the
 * root of a process that is already in the jail. runc only sees the monitor,
 * and clients expect a missing program to fail before anything has run, in
 * runc's words: docker turns them into exit codes 126 and 127.
 *
 * @param pid - a process in the container
 * @throws RuntimeError `failed`, with the words runc would use
 */
export async function checkProgram(pid: number, program: Program): Promise<void> {
  const candidates = candidatesOf(program);
  // What a link of the process file system leads to depends on who asks.
  if (candidates.length === 1 && candidates[0]?.startsWith("/proc/") === true) {
    return;
  }
  const { user, group, groups } = program.credentials;
  const results = await addon.lookUp(`/proc/${pid}/root`, candidates, user, group, groups);
  if (results.at(-1) === 0) {
    return;
  }
  const why = program.name.includes("/")
    ? explain(results[0] ?? ENOENT, program.name)
    : "executable file not found in $PATH";
  throw new RuntimeError("failed", `exec: ${JSON.stringify(program.name)}: ${why}`);
}

/** The absolute paths, inside the container, to try in turn. */
export function candidatesOf({ name, path, workingDirectory }: Program): readonly string[] {
  if (name.includes("/")) {
    return [posix.resolve(workingDirectory, name)];
  }
  if (path === undefined || path === "") {
    return [];
  }
  return path.split(":").map((folder) => posix.resolve(workingDirectory, folder, name));
}

function explain(errno: number, name: string): string {
  switch (errno) {
    case ENOENT:
      return `stat ${name}: no such file or directory`;
    case ENOTDIR:
      return `stat ${name}: not a directory`;
    case ELOOP:
      return `stat ${name}: too many levels of symbolic links`;
    case EACCES:
    case EISDIR:
      return "permission denied";
    default:
      return `error ${errno}`;
  }
}
