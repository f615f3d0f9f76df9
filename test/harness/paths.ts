import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's top folder; this file runs from build/js/test/harness. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");

/** The programs under test. */
export const programs = join(repository, "build/bin");

/** Images and other things that are costly to make: outside the checkout, shared by all checkouts of a user. */
export const cache =
  process.env["TINE_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tine");
