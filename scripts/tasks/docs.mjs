// `npm run docs`: makes the pages of docs/ that follow from the sources.
import { runToEnd } from "../lib/progress.mjs";

for (const page of [
  "config/write-documentation.js",
  "runtime/cli/write-manuals.js",
  "scripts/documentation/write-system-calls.js",
  "bench/write-documentation.js",
])
  process.exitCode ||= await runToEnd(process.execPath, [`build/js/${page}`]);
