// `npm run format`: prettier over everything it knows.
import { runToEnd } from "../lib/progress.mjs";

process.exitCode = await runToEnd(process.execPath, [
  "node_modules/prettier/bin/prettier.cjs",
  "--log-level",
  "warn",
  "--write",
  ".",
]);
