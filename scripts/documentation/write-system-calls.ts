import { writeFileSync } from "node:fs";
import { programsPage, readPrograms } from "./programs.js";
import { readSystemCalls, systemCallPage } from "./system-calls.js";

// `npm run docs` starts this in the checkout's top folder, after the build.
writeFileSync("docs/syscalls.md", systemCallPage(readSystemCalls("build/bin/tine-vmm")));
writeFileSync("docs/programs.md", programsPage(readPrograms("test/breadth/programs.json")));
