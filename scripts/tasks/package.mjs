// `npm run package [-- FOLDER]`: the Debian package and the npm package, in build/package or the folder named.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { nodeToCarry } from "../lib/node.mjs";
import { repository } from "../lib/paths.mjs";
import { say } from "../lib/progress.mjs";
import { makeDebianPackage } from "../package/debian.mjs";
import { makeNpmPackage } from "../package/npm.mjs";

const folder = resolve(process.argv[2] ?? join(repository, "build/package"));
mkdirSync(folder, { recursive: true });
const node = await nodeToCarry();
say("making the npm package");
process.stdout.write(`${makeNpmPackage(folder)}\n`);
say(`making the Debian package with the Node at ${node}`);
process.stdout.write(`${makeDebianPackage(folder, node)}\n`);
