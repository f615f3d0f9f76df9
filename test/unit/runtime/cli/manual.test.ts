import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { settingsManual } from "../../../../config/manual.js";
import { asksForHelp, helpOf } from "../../../../runtime/cli/command.js";
import { commands } from "../../../../runtime/cli/commands.js";
import { bashCompletion } from "../../../../runtime/cli/completion.js";
import { commandManual } from "../../../../runtime/cli/manual.js";
import { version } from "../../../../runtime/cli/version.js";
import { capture } from "../../../harness/command.js";
import { repository } from "../../../harness/paths.js";

describe("what tine says of itself", () => {
  it("is in docs/man as npm run docs makes it", () => {
    const page = (name: string): string => readFileSync(join(repository, "docs/man", name), "utf8");
    assert.equal(page("tine.1"), commandManual(commands, version));
    assert.equal(page("tine.toml.5"), settingsManual(version));
  });

  it("has no line that a terminal of 120 columns would break", () => {
    for (const command of Object.values(commands)) {
      const long = helpOf(command)
        .split("\n")
        .filter((line) => line.length > 120);
      assert.deepEqual(long, []);
    }
  });

  it("is asked for anywhere, but not behind a program's name", () => {
    const asked = (name: string, ...args: string[]): boolean => {
      const command = commands[name];
      assert.ok(command);
      return asksForHelp(args, command);
    };
    assert.deepEqual(
      [
        asked("do", "--root", "/", "--help"),
        asked("do", "--root", "--help"),
        asked("do", "ls", "--help"),
        asked("do", "--", "--help"),
        asked("setup", "docker", "-h"),
        asked("logs", "web", "--help"),
        asked("ps"),
      ],
      [true, false, false, false, true, true, false],
    );
  });

  it("completes commands, options, their values and containers in bash", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tine-completion-"));
    try {
      writeFileSync(join(folder, "tine"), "#!/bin/sh\necho web\necho worker\n", { mode: 0o755 });
      const script = [
        bashCompletion(commands),
        "complete_line() {",
        '  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))',
        '  _tine tine "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"',
        '  echo "${COMPREPLY[*]}"',
        "}",
        "complete_line tine do",
        "complete_line tine logs w",
        "complete_line tine do --fork se",
        "complete_line tine setup k",
        "complete_line tine ps --",
      ].join("\n");
      const environment = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
      assert.deepEqual(await capture(["bash", "-c", script], { environment }), {
        status: 0,
        stdout: "do doctor\nweb worker\nselective-cow\nkubernetes\n--quiet --json --help\n",
        stderr: "",
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
