import type { Readable, Writable } from "node:stream";

/** A stream of output on its way. */
export interface Copy {
  /** Begins to pass on. */
  start(): void;
  /** Resolves when everything was passed on, or can never be; does not reject. */
  readonly finished: Promise<void>;
  /** Gives up what is not passed on yet, and closes both ends. Idempotent. */
  stop(): void;
}

/**
 * Milliseconds between the last output and the closing, while more streams than `CROWDED` are open. Eight clients at
 * once on two processors were seen to lose the output of a short container: they had not come to read their end of the
 * fifo when ours was closed. One client after the other, none ever did.
 */
const LINGER = 400;
const CROWDED = 2;
let streams = 0;

/** Passes on what a process writes, once started, no faster than it is taken, and closes `to` at the end. */
export function copyOutput(from: Readable, to: Writable): Copy {
  const stop = (): void => {
    from.destroy();
    to.destroy();
  };
  const finished = new Promise<void>((resolve) => {
    to.once("close", resolve);
    to.once("error", stop);
  });
  const start = (): void => {
    // Reading a terminal's master ends in EIO; any other error ends it as well.
    from.once("error", () => to.end());
    streams += 1;
    to.once("close", () => (streams -= 1));
    from.pipe(to, { end: false });
    from.once("end", () => (streams > CROWDED ? setTimeout(() => to.end(), LINGER) : to.end()));
  };
  return { start, finished, stop };
}
