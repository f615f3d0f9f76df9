import { spawn } from "node:child_process";

const started = Date.now();

/** One line of progress, with the seconds since the start. */
export function say(text) {
  const seconds = ((Date.now() - started) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[tine ${seconds} s] ${text}\n`);
}

/** A failure the user can mend: what is wrong, and the remedy. */
export class BootstrapError extends Error {
  constructor(problem, remedy) {
    super(problem);
    this.name = "BootstrapError";
    this.remedy = remedy;
  }
}

/** Prints a failure and leaves a non-zero exit status. */
export function fail(error) {
  if (error instanceof BootstrapError) {
    process.stderr.write(`tine: ${error.message}\n`);
    if (error.remedy !== undefined) process.stderr.write(`tine: remedy: ${error.remedy}\n`);
  } else {
    process.stderr.write(
      `tine: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
  process.exitCode = 1;
}

/**
 * Runs a program with our stdio and resolves to its exit status (128 + n for signal n). SIGINT, SIGTERM and
 * SIGHUP sent to us alone reach it too, so that it can stop what it started.
 */
export function runToEnd(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: "inherit", ...options });
    const forward = (signal) => child.kill(signal);
    const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 };
    for (const signal of Object.keys(signals)) process.on(signal, forward);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      for (const name of Object.keys(signals)) process.off(name, forward);
      resolve(code ?? 128 + (signals[signal] ?? 9));
    });
  });
}

/** Runs a program, keeps what it prints, and shows it only when it fails. */
export function runQuietly(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve({ code: code ?? 1, signal, output: Buffer.concat(output).toString() }),
    );
  });
}
