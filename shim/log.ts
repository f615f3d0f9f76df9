import { closeSync, constants, openSync, writeSync } from "node:fs";
import { systemCodeOf } from "../runtime/errors.js";

const LEVELS = ["debug", "info", "warning", "error"] as const;

/** How severe a message is. */
export type LogLevel = (typeof LEVELS)[number];

/**
 * The shim's log: lines in the form of containerd's own, written to a fifo
 * that containerd reads. One that nobody reads, or that is full, must not
 * stop the shim, so such lines are lost.
 */
export class ShimLog {
  readonly #least: number;
  readonly #fallback: number;
  readonly #fifos = new Map<string, number>();

  /**
   * @param least - less severe messages are not written
   * @param fallback - descriptor for what belongs to no container
   */
  constructor(least: LogLevel, fallback: number) {
    this.#least = LEVELS.indexOf(least);
    this.#fallback = fallback;
  }

  /** From here on lines about this container go to the `log` fifo of its bundle. */
  open(container: string, bundle: string): void {
    try {
      this.#fifos.set(container, openSync(`${bundle}/log`, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch (error) {
      // No fifo, or nobody who reads it.
      if (systemCodeOf(error) === undefined) {
        throw error;
      }
    }
  }

  close(container: string): void {
    const descriptor = this.#fifos.get(container);
    if (descriptor !== undefined) {
      this.#fifos.delete(container);
      closeSync(descriptor);
    }
  }

  write(level: LogLevel, message: string, container?: string): void {
    if (LEVELS.indexOf(level) < this.#least) {
      return;
    }
    const about = container === undefined ? "" : ` id=${JSON.stringify(container)}`;
    const line = `time=${JSON.stringify(new Date().toISOString())} level=${level} msg=${JSON.stringify(message)}${about} runtime=io.containerd.tine.v2\n`;
    const descriptor = (container === undefined ? undefined : this.#fifos.get(container)) ?? this.#fallback;
    try {
      writeSync(descriptor, line);
    } catch (error) {
      if (systemCodeOf(error) === undefined) {
        throw error;
      }
    }
  }
}
