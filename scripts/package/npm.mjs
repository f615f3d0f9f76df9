import { join } from "node:path";
import { repository } from "../lib/paths.mjs";
import { run } from "./tree.mjs";

/**
 * Packs the checkout, which is built, with npm.
 *
 * @param folder where the package comes
 * @returns its path
 */
export function makeNpmPackage(folder) {
  // Under this Node; the build that `npm pack` alone begins with has been made.
  const npm = process.env.npm_execpath;
  const command = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
  const packed = run(
    ...command,
    "pack",
    "--ignore-scripts",
    "--json",
    "--pack-destination",
    folder,
    repository,
  );
  // From npm 12 on it is an object by name.
  const [{ filename }] = Object.values(JSON.parse(packed.toString()));
  return join(folder, filename);
}
