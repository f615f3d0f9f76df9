import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json and build/; this file runs from build/js/runtime/cli. */
export const topFolder = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");

/** Where the programs are. */
export const programs = join(topFolder, "build/bin");

/** The monitor. */
export const monitor = join(programs, "tine-vmm");
