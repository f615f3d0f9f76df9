import { roffHead, roffParagraph, roffParagraphs, roffText } from "./roff.js";
import { schema, type Section } from "./schema.js";
import { defaultPath } from "./settings.js";

/** tine.toml(5), from the schema. */
export function settingsManual(version: string): string {
  const lines = [
    ...roffHead("tine.toml", 5, version, "settings of the containerd runtime shim io.containerd.tine.v2"),
    ".SH DESCRIPTION",
    "Tine works without a settings file. One is read from the first of these places:",
    ".IP \\(bu 2",
    roffParagraph(
      "the text, or the file, that the client names: `ctr run --runtime-config-path FILE`, `ConfigPath` in the runtime's options in containerd's and docker's configuration;",
    ),
    ".IP \\(bu 2",
    roffParagraph("the file that the environment variable `TINE_CONFIG` of containerd names;"),
    ".IP \\(bu 2",
    roffParagraph(`\`${defaultPath}\`, if it is there.`),
    ...roffParagraphs(
      "The file is TOML. An unknown key or a bad value is an error that names file, line and key; `tine doctor` shows it.",
    ),
  ];
  for (const [name, { description, keys }] of Object.entries<Section>(schema)) {
    lines.push(`.SH [${name}]`, roffParagraph(description));
    for (const [key, described] of Object.entries(keys)) {
      const fallback = roffText(JSON.stringify(described.fallback));
      lines.push(".TP", `.B ${roffText(key)}`);
      lines.push(`${roffParagraph(described.description)} Default: ${fallback}.`);
      if (described.kind !== "choice") continue;
      lines.push(".RS");
      for (const [word, meaning] of Object.entries(described.choices))
        lines.push(".TP", roffText(JSON.stringify(word)), roffParagraph(meaning));
      lines.push(".RE");
    }
  }
  lines.push(
    ".SH EXAMPLE",
    ".nf",
    roffText('[fork]\nstrategy = "cow"\n\n[shim]\nlog_level = "debug"'),
    ".fi",
    ".SH FILES",
    roffText(defaultPath),
    ".SH SEE ALSO",
    "\\fBtine\\fR(1), \\fBcontainerd\\-shim\\-tine\\-v2\\fR(8)",
  );
  return `${lines.join("\n")}\n`;
}
