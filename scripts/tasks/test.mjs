// `npm test [-- FILE…]`: all tests, or the named compiled ones. The totals go to build/test-totals.json too.
import { runToEnd } from "../lib/progress.mjs";

const files = process.argv.slice(2);
process.exitCode = await runToEnd(process.execPath, [
  "node_modules/mocha/bin/mocha.js",
  "--config",
  "test/mocharc.json",
  ...(files.length > 0 ? files : ["build/js/test/**/*.test.js"]),
]);
