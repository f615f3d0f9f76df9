import assert from "node:assert/strict";
import { chmod, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../../harness/command.js";
import { programs, repository } from "../../harness/paths.js";
import { runAlone, type Outcome } from "./run.js";

const limit = 60_000;

/** What test/guest/translator/show.c says; as Linux's binfmt_misc would have it. */
interface Shown {
  /** The name under /proc, and the path that was executed. */
  readonly comm: string;
  readonly execfn?: string;
  readonly preserved?: true;
  readonly binary?: string;
  readonly words: readonly string[];
}

describe("binfmt_misc, in the monitor's hands", function () {
  this.timeout(4 * limit);
  let folder: string;
  let show: string;

  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "tine-binfmt-")));
    show = join(folder, "show");
    const source = join(repository, "test/guest/translator/show.c");
    await check(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", show, source], { limit });
    const script = join(folder, "script");
    await executable("script", `#!${show} first\n`);
    await executable("magic", "xxABCxx");
    await executable("near", "xxABDxx");
    for (const name of [
      "a.keep",
      "a.open",
      "a.plain",
      "a.both",
      "a.scripted",
      "a.opened",
      "a.gone",
      "a.off",
    ]) {
      await executable(name, "anything\n");
    }
    await executable("to-keep", `#!${join(folder, "a.keep")} word\n`);
    const by = (extension: string, interpreter: string, flags: string, state = "enabled"): string =>
      `${state}\ninterpreter ${interpreter}\nflags: ${flags}\nextension .${extension}\n`;
    await writeFile(
      join(folder, "table"),
      [
        by("keep", show, "P"),
        by("open", show, "O"),
        by("plain", show, ""),
        by("both", show, "POC"),
        by("scripted", script, "P"),
        by("opened", script, "PO"),
        by("gone", join(folder, "nothing"), ""),
        by("off", show, "", "disabled"),
        // 'C' and 'D' differ in bits that the mask leaves out.
        `enabled\ninterpreter ${show}\nflags: \noffset 2\nmagic 414243\nmask fffff8\n`,
        `enabled\ninterpreter ${show}\nflags: P\noffset 5\nmagic 7878\n`,
      ].join(""),
    );
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function executable(name: string, content: string): Promise<void> {
    await writeFile(join(folder, name), content);
    await chmod(join(folder, name), 0o755);
  }

  /** Executes a file of the folder, with `zero` for its argv[0] and two arguments. */
  function run(name: string): Promise<Outcome> {
    const shell = `exec 9<${join(folder, "table")}; exec "$0" --translators-fd=9 -- bash -c 'exec -a zero "$0" one two' "$1"`;
    return runAlone(["bash", "-c", shell, join(programs, "tine-vmm"), join(folder, name)], limit);
  }

  async function shows(name: string, shown: Shown): Promise<void> {
    const path = (file: string): string => join(folder, file);
    assert.deepEqual(await run(name), {
      stdout: [
        `comm ${shown.comm}`,
        `exe ${show}`,
        `execfn ${path(shown.execfn ?? name)}`,
        `flags ${shown.preserved ? 1 : 0}`,
        `binary ${shown.binary === undefined ? "not opened" : path(shown.binary)}`,
        shown.words.map((word) => `[${word.replace(/^\//, `${folder}/`)}]`).join(""),
        "",
      ].join("\n"),
      stderr: "",
      end: "exit 0",
    });
  }

  it("puts the interpreter and the path in argv[0]'s place", () =>
    shows("a.plain", { comm: "a.plain", words: ["/show", "/a.plain", "one", "two"] }));

  it("keeps argv[0] with P, and says so in AT_FLAGS", () =>
    shows("a.keep", { comm: "a.keep", preserved: true, words: ["/show", "/a.keep", "zero", "one", "two"] }));

  it("hands over the opened file with O", () =>
    shows("a.open", { comm: "a.open", binary: "a.open", words: ["/show", "/a.open", "one", "two"] }));

  it("does all that together, C meaning O", () =>
    shows("a.both", {
      comm: "a.both",
      preserved: true,
      binary: "a.both",
      words: ["/show", "/a.both", "zero", "one", "two"],
    }));

  it("knows files by bytes at a place, through a mask; the first registration that matches counts", async () => {
    for (const name of ["magic", "near"])
      await shows(name, { comm: name, words: ["/show", `/${name}`, "one", "two"] });
  });

  it("follows an interpreter that is a script", () =>
    shows("a.scripted", {
      comm: "a.scripted",
      preserved: true,
      words: ["/show", "first", "/script", "/a.scripted", "zero", "one", "two"],
    }));

  it("runs a script whose interpreter needs a translator", () =>
    shows("to-keep", {
      comm: "to-keep",
      preserved: true,
      words: ["/show", "/a.keep", "/a.keep", "word", "/to-keep", "one", "two"],
    }));

  it("refuses what Linux refuses", async () => {
    // Bash runs what cannot be executed as a script of its own.
    for (const name of ["a.opened", "a.off"]) {
      assert.match((await run(name)).stderr, /anything: command not found/, name);
    }
    assert.match((await run("a.gone")).stderr, /required file not found/);
  });
});
