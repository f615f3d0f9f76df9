import { writeFileSync } from "node:fs";
import { documentation } from "./documentation.js";

// `npm run docs` starts this in the checkout's top folder.
writeFileSync("docs/configuration.md", documentation());
