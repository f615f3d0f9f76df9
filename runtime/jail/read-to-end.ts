import { closeSync, readSync } from "node:fs";
import { systemCodeOf } from "../errors.js";

/** More than any error message of runc's. */
const MOST = 64 * 1024;

/**
 * Reads what is in a non-blocking pipe, up to 64 KiB, and closes it.
 *
 * @param descriptor - the read end
 */
export function readToEnd(descriptor: number): string {
  const buffer = Buffer.alloc(MOST);
  let length = 0;
  try {
    while (length < MOST) {
      const count = readSync(descriptor, buffer, length, MOST - length, null);
      if (count === 0) {
        break;
      }
      length += count;
    }
  } catch (error) {
    if (systemCodeOf(error) !== "EAGAIN") {
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
  return buffer.toString("utf8", 0, length);
}
