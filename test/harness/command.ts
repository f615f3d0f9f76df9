import { spawn } from "node:child_process";

/** What a program did. */
export interface CommandResult {
  /** Exit status; 128 + n after signal n, as a shell says it. */
  status: number;
  stdout: string;
  stderr: string;
}

/** A program that runs, as whoever types its input sees it. */
export interface Talk {
  /** What it has written to its standard output so far. */
  readonly output: string;
  readonly ended: boolean;
  write(text: string): void;
}

export interface CommandOptions {
  environment?: NodeJS.ProcessEnv;
  directory?: string;
  /** What the program reads from its standard input; nothing unless given. */
  input?: string | Buffer;
  /** Types what the program reads, instead of `input`; the input ends when this is over. */
  talk?: (program: Talk) => Promise<void>;
  /** Milliseconds after which the program is killed and the call fails; 60,000 unless given. */
  limit?: number;
}

/** A program ran longer than its limit, or exited with a status that its caller does not accept. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    readonly code: "time-out" | "failed",
    message: string,
    readonly result: CommandResult,
  ) {
    super(message);
  }
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

/**
 * Runs a program to its end and keeps what it prints.
 *
 * @throws {CommandError} `time-out` after the limit; the program is killed then.
 */
export async function capture(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError("an empty command");
  const limit = options.limit ?? 60_000;
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: options.environment,
    cwd: options.directory,
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  // A program may end without reading its input; that is its own business.
  child.stdin.on("error", () => undefined);
  if (options.talk === undefined) child.stdin.end(options.input ?? "");
  else {
    const talk: Talk = {
      get output() {
        return Buffer.concat(stdout).toString();
      },
      get ended() {
        return child.exitCode !== null || child.signalCode !== null;
      },
      write: (text) => void child.stdin.write(text),
    };
    void options.talk(talk).finally(() => child.stdin.end());
  }
  const limitPassed = new AbortController();
  const timer = setTimeout(() => {
    limitPassed.abort();
    child.kill("SIGKILL");
    // Descendants may keep the pipes open; the program's own end is what counts.
    child.stdout.destroy();
    child.stderr.destroy();
  }, limit);
  try {
    const status = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : (signalNumbers[signal] ?? 0)));
      });
    });
    const result = {
      status,
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
    };
    if (limitPassed.signal.aborted)
      throw new CommandError("time-out", describe(command, `no end after ${limit} ms`, result), result);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Like {@link capture}, but any status other than 0 is an error.
 *
 * @throws {CommandError} `failed` or `time-out`, with everything the program printed.
 */
export async function check(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await capture(command, options);
  if (result.status !== 0) {
    throw new CommandError("failed", describe(command, `exit status ${result.status}`, result), result);
  }
  return result;
}

function describe(command: readonly string[], what: string, result: CommandResult): string {
  const printed = [result.stdout.trimEnd(), result.stderr.trimEnd()].filter((text) => text !== "").join("\n");
  return `${command.join(" ")}: ${what}${printed === "" ? "" : `\n${printed}`}`;
}
