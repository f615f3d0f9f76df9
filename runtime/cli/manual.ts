import { roffHead, roffParagraphs, roffText } from "../../config/roff.js";
import type { Command } from "./command.js";

/** tine(1), from what the commands say of themselves. */
export function commandManual(commands: Readonly<Record<string, Command>>, version: string): string {
  const lines = [
    ...roffHead("tine", 1, version, "looks at containers that run in microVMs, and sets them up"),
    ".SH SYNOPSIS",
    ".B tine",
    ".I COMMAND",
    "[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]",
    ".SH DESCRIPTION",
    ...roffParagraphs(
      [
        "Tine runs OCI images in KVM microVMs without a guest kernel, as containerd's runtime `io.containerd.tine.v2`.",
        "Containers are made with the clients of containerd: `ctr run --runtime io.containerd.tine.v2`,",
        "`nerdctl run --runtime io.containerd.tine.v2`, `docker run --runtime io.containerd.tine.v2` or a Kubernetes",
        "RuntimeClass. This command looks at them, tells whether the machine is fit, and configures the clients.",
      ].join("\n"),
    ).slice(1),
    ".SH COMMANDS",
  ];
  for (const { usage, summary, details, options } of Object.values(commands)) {
    const sentence = `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
    lines.push(".TP", `.B tine ${roffText(usage)}`, roffText(sentence), ".RS", ...roffParagraphs(details));
    for (const [name, { argument, text }] of Object.entries(options)) {
      const value = argument === undefined ? "" : ` \\fI${roffText(argument)}\\fR`;
      lines.push(".TP", `\\fB${roffText(name)}\\fR${value}`, roffText(text));
    }
    lines.push(".RE");
  }
  lines.push(
    ".SH EXIT STATUS",
    "0 when all went well; 1 when \\fBtine doctor\\fR finds something broken; 125 for failures of Tine's own and",
    "command lines that it does not understand.",
    ".SH ENVIRONMENT",
    ".TP",
    ".B TINE_CONFIG",
    "The settings file in place of /etc/tine/tine.toml.",
    ".SH EXAMPLES",
    ".nf",
    roffText(
      [
        "tine doctor",
        "ctr run --rm -t --runtime io.containerd.tine.v2 REFERENCE NAME sh",
        "tine ps",
        "tine setup kubernetes | kubectl apply -f -",
        "tine do -- python3 -c 'print(6 * 7)'",
      ].join("\n"),
    ),
    ".fi",
    ".SH SEE ALSO",
    "\\fBtine.toml\\fR(5), \\fBcontainerd\\-shim\\-tine\\-v2\\fR(8), \\fBctr\\fR(8), \\fBrunc\\fR(8)",
  );
  return `${lines.join("\n")}\n`;
}
