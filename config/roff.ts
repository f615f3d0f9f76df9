/** Text as man(7) wants it: what roff would take for its own is marked. */
export function roffText(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("…", "...")
    .replaceAll("'", "\\(aq")
    .replaceAll(/^\./gm, "\\&.");
}

/** The same for a paragraph with `code` in it, which is set bold. */
export function roffParagraph(text: string): string {
  return roffText(text)
    .replaceAll(/`([^`]*)`/g, "\\fB$1\\fR")
    .replaceAll(/\*\*([^*]*)\*\*/g, "\\fB$1\\fR");
}

/** Paragraphs of plain text, of which those that are indented stay as they are. */
export function roffParagraphs(text: string): string[] {
  return text
    .trim()
    .split(/\n{2,}/)
    .flatMap((paragraph) =>
      paragraph.startsWith("  ")
        ? [".PP", ".nf", roffText(paragraph), ".fi"]
        : [".PP", roffParagraph(paragraph)],
    );
}

/** A page's first lines. */
export function roffHead(name: string, section: number, version: string, summary: string): string[] {
  return [
    `.TH ${name.toUpperCase()} ${section} "" "Tine ${version}"`,
    ".SH NAME",
    `${roffText(name)} \\- ${roffText(summary)}`,
  ];
}
