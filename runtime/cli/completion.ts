import { writeSync } from "node:fs";
import { CommandLineError, parseOptions, type Command, type Operands } from "./command.js";
// Which holds this one: looked at only when a command runs.
import { commands } from "./commands.js";

/** `tine completion bash`: what bash reads to complete command lines of `tine`. */
export const completionCommand: Command = {
  usage: "completion bash",
  summary: "writes the completion of this command line for a shell",
  details: `For this shell alone: . <(tine completion bash). For everybody: tine completion bash
>/usr/share/bash-completion/completions/tine, which the Debian package brings.
`,
  options: {},
  operands: ["bash"],
  run(args) {
    const { operands } = parseOptions(args, this);
    const [shell, ...others] = operands;
    if (shell === undefined) throw new CommandLineError("no shell given; it is written for bash");
    if (shell !== "bash" || others.length > 0)
      throw new CommandLineError(`there is none for ${JSON.stringify(operands.join(" "))}, only for bash`);
    writeSync(1, bashCompletion(commands));
    return 0;
  },
};

/** The script that completes these commands in bash. */
export function bashCompletion(commands: Readonly<Record<string, Command>>): string {
  const lines = [
    "# bash completion for tine                                   -*- shell-script -*-",
    "_tine() {",
    "  local word=$2 before=$3 words=",
    "  COMPREPLY=()",
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    words="${Object.keys(commands).join(" ")} --help --version"`,
    "  else",
    "    case ${COMP_WORDS[1]}:$before in",
  ];
  for (const [name, { options }] of Object.entries(commands)) {
    for (const [option, { argument, choices }] of Object.entries(options)) {
      if (argument === undefined) continue;
      const action =
        choices !== undefined
          ? `words="${choices.join(" ")}"`
          : argument === "DIR" || argument === "FILE"
            ? `COMPREPLY=($(compgen -${argument === "DIR" ? "d" : "f"} -- "$word")); return`
            : "return";
      lines.push(`      ${name}:${option}) ${action} ;;`);
    }
  }
  lines.push("      *)", "        case ${COMP_WORDS[1]} in");
  for (const [name, { options, operands }] of Object.entries(commands)) {
    const own = [...Object.keys(options), "--help"].join(" ");
    const completed = `          ${name}) words="${own}${operandWords(operands)}"`;
    if (operands === "program")
      lines.push(`${completed}; [[ $word == -* ]] || COMPREPLY=($(compgen -c -- "$word")) ;;`);
    else lines.push(`${completed} ;;`);
  }
  lines.push(
    "        esac ;;",
    "    esac",
    "  fi",
    '  COMPREPLY+=($(compgen -W "$words" -- "$word"))',
    "}",
    "complete -F _tine tine",
    "",
  );
  return lines.join("\n");
}

/** What the shell shall find out for operands of this kind, as text of a double-quoted word. */
function operandWords(operands: Operands): string {
  switch (operands) {
    case "none":
    case "program":
      return "";
    case "container":
      return " $(tine ps --quiet 2>/dev/null)";
    case "process":
      return " $(cd /proc && printf '%s ' [0-9]*)";
    default:
      return ` ${operands.join(" ")}`;
  }
}
