import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout's top folder. */
export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Where downloads and images live: outside the checkout, shared by all checkouts of a user. */
export const cache =
  process.env.TINE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tine");
