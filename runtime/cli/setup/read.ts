import { readFileSync } from "node:fs";
import { systemCodeOf } from "../../errors.js";

/** A file's text; undefined when it is not there. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
