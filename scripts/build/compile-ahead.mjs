import { spawnSync } from "node:child_process";

/**
 * Has the V8 of a Node compile PLACE.code and keep its form of it as PLACE.cache.
 *
 * @returns what went wrong, as text; undefined when nothing did
 */
export function compileAhead(node, place) {
  const { status, stderr, error } = spawnSync(node, ["--no-warnings", "-e", cacheMaker(place)], {
    encoding: "utf8",
  });
  return status === 0 ? undefined : (error?.message ?? stderr);
}

/** A program for Node that has V8 compile everything, also what is called late, and keeps the result. */
function cacheMaker(place) {
  const code = JSON.stringify(`${place}.code`);
  return `
const { readFileSync, renameSync, writeFileSync } = require("node:fs");
const { setFlagsFromString } = require("node:v8");
setFlagsFromString("--no-lazy");
const script = new (require("node:vm").Script)(readFileSync(${code}, "utf8"), { filename: ${code} });
// What runs it later has the default: V8 takes a cache only from equal flags.
setFlagsFromString("--lazy");
writeFileSync(${JSON.stringify(`${place}.cache.new`)}, script.createCachedData());
renameSync(${JSON.stringify(`${place}.cache.new`)}, ${JSON.stringify(`${place}.cache`)});
`;
}
