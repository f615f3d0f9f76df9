import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { addon } from "../../native/addon/addon.js";
import { FifoOutput } from "./fifo-output.js";

/** A stream of output on its way. */
export interface Copy {
  /** Begins to pass on. */
  start(): void;
  /** Resolves when everything was passed on, or can never be; does not reject. */
  readonly finished: Promise<void>;
  /** Resolves when what the source holds now was passed on, or some time after; does not reject. */
  settled(): Promise<void>;
  /** Gives up what is not passed on yet, and closes both ends. Idempotent. */
  stop(): void;
}

/** Milliseconds that {@link Copy.settled} takes at most, and between two looks. */
const SETTLE_LIMIT = 1000;
const SETTLE_PAUSE = 2;

/**
 * Passes on what a process writes, once started, no faster than it is taken, and closes `to` at the end.
 *
 * @param from - the descriptor that `source` reads
 */
export function copyOutput(source: Readable, from: number, to: Writable): Copy {
  let over = false;
  const stop = (): void => {
    source.destroy();
    to.destroy();
  };
  const finished = new Promise<void>((resolve) => {
    to.once("close", () => {
      over = true;
      resolve();
    });
    to.once("error", stop);
  });
  const start = (): void => {
    // Reading a terminal's master ends in EIO; any other error ends it as well.
    source.once("error", () => to.end());
    source.pipe(to);
  };
  const passing = (): boolean =>
    to.writableLength > 0 || source.readableLength > 0 || (!source.destroyed && addon.isReadable(from));
  const idle = async (): Promise<void> => {
    for (let waited = 0; waited < SETTLE_LIMIT && !over && passing(); waited += SETTLE_PAUSE) {
      await delay(SETTLE_PAUSE);
    }
    if (!over && to instanceof FifoOutput) await to.taken();
  };
  return { start, finished, settled: () => Promise.race([finished, idle()]), stop };
}
