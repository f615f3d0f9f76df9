import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { documentation } from "../../../config/documentation.js";
import { SettingsError, type SettingsErrorCode } from "../../../config/errors.js";
import { schema } from "../../../config/schema.js";
import { defaultSettings, loadSettings, parseSettings } from "../../../config/settings.js";
import { repository } from "../../harness/paths.js";

const refused: [text: string, code: SettingsErrorCode, message: string][] = [
  [
    "[shim]\n\ngroups = 'pod'",
    "unknown-key",
    "t:3: shim.groups: no such key; [shim] has group, log_level, metrics",
  ],
  [
    "\n[shims]",
    "unknown-key",
    "t:2: shims: no such section; there are runtime, shim, fork, translators, calls, memory, node",
  ],
  [
    "[translators]\narm64 = 'qemu'",
    "bad-value",
    't:2: translators.arm64: "qemu" is not an absolute path, perhaps with some of the flags P, O, C, F behind a colon',
  ],
  ["shim = 1", "bad-value", "t:1: shim: a section is wanted, not a value"],
  ["[[shim]]", "bad-value", "t:1: shim: a section is wanted, not a value"],
  ["[shim]\ngroup = 1", "bad-value", "t:2: shim.group: a string is wanted, not a number"],
  ["[shim]\ngroup = ['pod']", "bad-value", "t:2: shim.group: a string is wanted, not an array"],
  ["[shim]\ngroup = 1979-05-27", "bad-value", "t:2: shim.group: a string is wanted, not a date"],
  ["shim.group.x = 1", "bad-value", "t:1: shim.group: a string is wanted, not a table"],
  [
    "[shim]\n# x\ngroup = 'pods'",
    "bad-value",
    't:3: shim.group: "pods" is none of namespace, pod, container',
  ],
  [
    "[runtime]\nrunc = '''\na\n'''\nroot = 'x'",
    "bad-value",
    't:5: runtime.root: "x" is not an absolute path',
  ],
  [
    "[runtime]\nrunc = 'a/b'",
    "bad-value",
    't:2: runtime.runc: "a/b" is neither an absolute path nor a name to look up in PATH',
  ],
  [
    '[runtime]\n"runc" = ""',
    "bad-value",
    't:2: runtime.runc: "" is neither an absolute path nor a name to look up in PATH',
  ],
  [
    "runtime = { runc = 'a', \"__proto__\" = 1 }",
    "unknown-key",
    "t:1: runtime.__proto__: no such key; [runtime] has runc, root",
  ],
  [
    "shim.metrics = '0.0.0.0:9464'",
    "bad-value",
    't:1: shim.metrics: "0.0.0.0:9464" is neither an absolute path nor 127.0.0.1:PORT or [::1]:PORT',
  ],
  [
    "[memory]\ncode_store = '64'",
    "bad-value",
    "t:2: memory.code_store: a whole number from 0 to 2047 is wanted (MiB), not a string",
  ],
  [
    "[memory]\ncode_store = 2048",
    "bad-value",
    "t:2: memory.code_store: a whole number from 0 to 2047 is wanted (MiB), not 2048",
  ],
  [
    "memory.code_store = -1",
    "bad-value",
    "t:1: memory.code_store: a whole number from 0 to 2047 is wanted (MiB), not -1",
  ],
  [
    "memory.code_store = 1.5",
    "bad-value",
    "t:1: memory.code_store: a whole number from 0 to 2047 is wanted (MiB), not 1.5",
  ],
  [
    "[toString]",
    "unknown-key",
    "t:1: toString: no such section; there are runtime, shim, fork, translators, calls, memory, node",
  ],
];

function refusal(text: string): SettingsError {
  try {
    parseSettings(text, "t");
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  return assert.fail(`accepted ${text}`);
}

describe("tine.toml", () => {
  it("fills in the defaults", () => {
    assert.deepEqual(
      parseSettings(
        "[shim]\ngroup = 'pod'\n[runtime]\nrunc = '/opt/runc'\n[translators]\narm64 = '/opt/qemu:POF'",
        "t",
      ),
      {
        runtime: { runc: "/opt/runc", root: "/run/tine" },
        shim: { group: "pod", log_level: "info", metrics: "" },
        fork: { strategy: "auto" },
        translators: {
          amd64: "",
          arm64: "/opt/qemu:POF",
          386: "",
          arm: "",
          riscv64: "",
          ppc64le: "",
          s390x: "",
          mips64le: "",
          loong64: "",
        },
        calls: { exitless: "auto" },
        memory: { huge_pages: "auto", code_store: 64 },
        node: { path: "" },
      },
    );
  });

  for (const [text, code, message] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = refusal(text);
      assert.deepEqual([error.code, error.message], [code, message]);
    });
  }

  it("names file and line of what is not TOML", () => {
    const error = refusal("[shim]\ngroup = \n");
    assert.deepEqual([error.code, error.file, error.line, error.key], ["malformed", "t", 2, undefined]);
  });

  it("takes the client's text before its file, that before TINE_CONFIG, and wants named files to exist", () => {
    const folder = mkdtempSync(join(tmpdir(), "tine-settings-"));
    try {
      const file = join(folder, "a.toml");
      const missing = join(folder, "missing.toml");
      writeFileSync(file, "[shim]\ngroup = 'pod'\n");
      const body = "[shim]\ngroup = 'container'\n";
      assert.equal(loadSettings({ path: file, body, environment: {} }).shim.group, "container");
      assert.equal(loadSettings({ path: file, environment: { TINE_CONFIG: missing } }).shim.group, "pod");
      assert.equal(loadSettings({ environment: { TINE_CONFIG: file } }).shim.group, "pod");
      for (const source of [{ path: missing, environment: {} }, { environment: { TINE_CONFIG: missing } }]) {
        assert.throws(
          () => loadSettings(source),
          (error) => error instanceof SettingsError && error.code === "unreadable" && error.file === missing,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("names the line of a bad value wherever it stands among well-formed lines", () => {
    const filler = fc.constantFrom(
      "",
      "# group = 'x'",
      "runtime.runc = '''\n[shim]\ngroup = 1\n'''",
      'fork.strategy = "cow" # [x]',
      'memory.huge_pages = """never"""',
      "node = { path = 'a' }",
    );
    fc.assert(
      fc.property(fc.uniqueArray(filler), (fillers) => {
        const before = fillers.map((text) => `${text}\n`).join("");
        const error = refusal(`${before}shim.group = 7\n`);
        assert.deepEqual([error.line, error.key], [before.split("\n").length, "shim.group"]);
      }),
    );
  });

  it("ends with settings or a SettingsError for any text", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "[",
        "]",
        "shim",
        ".",
        "group",
        "=",
        "'",
        '"',
        "\n",
        "'''",
        "{",
        "}",
        ",",
        "#",
        "1",
        "pod",
        "\\",
      ),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          parseSettings(pieces.join(""), "t");
        } catch (error) {
          if (!(error instanceof SettingsError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("is documented: docs/configuration.md is what the schema says", () => {
    assert.equal(readFileSync(join(repository, "docs/configuration.md"), "utf8"), documentation());
  });

  it("has defaults that its own checks accept", () => {
    const lines = Object.entries(defaultSettings()).flatMap(([section, keys]) => [
      `[${section}]`,
      ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
    ]);
    assert.deepEqual(parseSettings(lines.join("\n"), "t"), defaultSettings());
    assert.deepEqual(Object.keys(schema), Object.keys(defaultSettings()));
  });
});
