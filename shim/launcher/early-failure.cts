import fs = require("node:fs");

/**
 * Loaded before the daemon: tells the launcher, which waits at the readiness
 * pipe, why the daemon cannot start. The daemon's own code could not report
 * that one of its modules is missing or broken.
 */
const readinessPipe = 4;

/** One write of at most PIPE_BUF bytes arrives as a whole. */
const longestReport = 4000;

function identity(): string {
  try {
    const { dev, ino } = fs.fstatSync(readinessPipe);
    return `${dev}:${ino}`;
  } catch {
    return "";
  }
}

const pipe = identity();

process.on("uncaughtExceptionMonitor", (error: unknown) => {
  // Once the daemon is ready it has closed the pipe, and the number may be
  // anything's.
  if (pipe === "" || identity() !== pipe) {
    return;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  fs.writeSync(readinessPipe, Buffer.from(text).subarray(0, longestReport));
});
