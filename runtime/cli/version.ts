import { readFileSync } from "node:fs";
import { join } from "node:path";
import { topFolder } from "./installation.js";

/** Tine's version, as package.json has it. */
export const version = (
  JSON.parse(readFileSync(join(topFolder, "package.json"), "utf8")) as { version: string }
).version;
