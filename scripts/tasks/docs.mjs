// `npm run docs`: makes the pages of docs/ that follow from the sources.
import { runToEnd } from "../lib/progress.mjs";

process.exitCode = await runToEnd(process.execPath, ["build/js/config/write-documentation.js"]);
