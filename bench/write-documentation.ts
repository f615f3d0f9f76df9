import { readFileSync, writeFileSync } from "node:fs";
import { performancePage, type Results } from "./documentation.js";

// `npm run docs` starts this in the checkout's top folder.
const results = JSON.parse(readFileSync("bench/results/performance.json", "utf8")) as Results;
writeFileSync("docs/performance.md", performancePage(results));
