import assert from "node:assert/strict";
import { CommandLineError, parseArguments } from "../../../../runtime/cli/command.js";

const known = { "--root": true, "--env": true, "--json": false };

describe("tine's command lines", () => {
  it("take values after a space or an equals sign, and repeated options", () => {
    const { options, operands } = parseArguments(
      ["--root", "/a", "--env=A=B", "--env", "C", "--json", "ls", "-l"],
      known,
    );
    assert.deepEqual(
      [...options],
      [
        ["--root", ["/a"]],
        ["--env", ["A=B", "C"]],
        ["--json", [""]],
      ],
    );
    assert.deepEqual(operands, ["ls", "-l"]);
  });

  it("leave everything after -- to the program", () => {
    assert.deepEqual(parseArguments(["--", "--root", "--"], known), {
      options: new Map(),
      operands: ["--root", "--"],
    });
  });

  it("leave everything after the first operand to the program, where it is one", () => {
    assert.deepEqual(parseArguments(["ls", "--json"], known), {
      options: new Map(),
      operands: ["ls", "--json"],
    });
  });

  it("take options behind other operands, up to --", () => {
    assert.deepEqual(parseArguments(["web", "--json", "more", "--", "--json"], known, "anywhere"), {
      options: new Map([["--json", [""]]]),
      operands: ["web", "more", "--json"],
    });
  });

  for (const [args, message] of [
    [["--rot", "/"], "unknown option --rot"],
    [["-x"], "unknown option -x"],
    [["--root"], "--root needs a value"],
    [["--json=1"], "--json takes no value"],
    [["--toString"], "unknown option --toString"],
  ] as const) {
    it(`are refused: ${args.join(" ")}`, () => {
      assert.throws(
        () => parseArguments(args, known),
        (error) => error instanceof CommandLineError && error.message === message,
      );
    });
  }
});
