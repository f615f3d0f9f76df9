import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Everything a program leaves that another run of it must leave too. */
export interface Outcome {
  stdout: string;
  stderr: string;
  /** `exit 3`, `signal SIGSEGV`, or `no end after … ms`. */
  end: string;
}

/**
 * Runs a command in a session of its own, in an empty directory that is its TMPDIR too, with nothing to read.
 * What it leaves running is killed with its process group.
 *
 * @param limit milliseconds until it is killed.
 * @param environment further variables.
 */
export async function runAlone(
  command: readonly string[],
  limit: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError("an empty command");
  const directory = await mkdtemp(join(tmpdir(), "tine-guest-"));
  try {
    const child = spawn(program, args, {
      cwd: directory,
      detached: true,
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        TMPDIR: directory,
        LANG: "C.UTF-8",
        ...environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    const killGroup = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // The whole group is gone already.
      }
    };
    const late = { yet: false };
    const timer = setTimeout(() => {
      late.yet = true;
      killGroup();
      child.stdout.destroy();
      child.stderr.destroy();
    }, limit);
    const end = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", killGroup);
      child.once("close", (code, signal) => {
        resolve(signal === null ? `exit ${String(code)}` : `signal ${signal}`);
      });
    });
    clearTimeout(timer);
    return {
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
      end: late.yet ? `no end after ${limit} ms` : end,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
