import { mkdirSync, writeFileSync } from "node:fs";
import { settingsManual } from "../../config/manual.js";
import { commands } from "./commands.js";
import { commandManual } from "./manual.js";
import { version } from "./version.js";

// `npm run docs` starts this in the checkout's top folder.
mkdirSync("docs/man", { recursive: true });
writeFileSync("docs/man/tine.1", commandManual(commands, version));
writeFileSync("docs/man/tine.toml.5", settingsManual(version));
