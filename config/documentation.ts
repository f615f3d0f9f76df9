import { schema, type Key, type Section } from "./schema.js";
import { defaultPath } from "./settings.js";

/** docs/configuration.md, from the schema. */
export function documentation(): string {
  const parts = [
    "<!-- Made from config/schema.ts by `npm run docs`. -->",
    "",
    "# tine.toml",
    "",
    "Tine works without a configuration file. One is read from the first of these places:",
    "",
    "1. the text, or the file, that the client names: `ctr run --runtime-config-path FILE`, `ConfigPath` in the",
    "   runtime's options in containerd's and docker's configuration;",
    "2. the file that the environment variable `TINE_CONFIG` of containerd names;",
    `3. \`${defaultPath}\`, if it is there.`,
    "",
    "An unknown key or a bad value is an error that names file, line and key; nothing is ignored silently.",
    "",
  ];
  for (const [name, section] of Object.entries<Section>(schema)) {
    parts.push(`## [${name}]`, "", section.description, "");
    for (const [keyName, key] of Object.entries(section.keys)) parts.push(...describe(keyName, key));
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

function describe(name: string, key: Key): string[] {
  const lines = [`### ${name}`, "", `${key.description} Default: \`${JSON.stringify(key.fallback)}\`.`, ""];
  switch (key.kind) {
    case "choice":
      lines.push(...Object.entries(key.choices).map(([word, meaning]) => `- \`"${word}"\`: ${meaning}`), "");
      break;
    case "program":
      lines.push("An absolute path, or a name to look up in PATH.", "");
      break;
    case "amount":
      lines.push(`${key.unit}, from 0 to ${key.most}.`, "");
      break;
    case "translator":
    case "address":
      break;
    case "path":
      lines.push("An absolute path.", "");
      break;
  }
  return lines;
}
