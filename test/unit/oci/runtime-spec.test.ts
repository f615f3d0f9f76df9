import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonError, parseLossless, stringifyLossless } from "../../../oci/lossless.js";
import {
  checkConfig,
  checkProcess,
  checkResources,
  parseConfig,
  SpecError,
} from "../../../oci/runtime-spec.js";
import { check } from "../../harness/command.js";
import { sampleConfig } from "./sample-config.js";

/** White space outside strings taken out. */
function compact(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
}

function problemsOf(value: unknown): string[] {
  try {
    checkConfig(value);
    return [];
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    return error.problems.map(({ path, problem }) => `${path}: ${problem}`);
  }
}

const minimal = { ociVersion: "1.0.2", root: { path: "rootfs" } };

const wrong: [change: object, problem: string][] = [
  [{ ociVersion: 1 }, "ociVersion: a string is wanted, not a number"],
  [{ ociVersion: "one" }, 'ociVersion: "one" is not a semantic version'],
  [{ root: null }, "root: is missing"],
  [{ root: {} }, "root.path: is missing"],
  [{ root: [] }, "root: an object is wanted, not an array"],
  [{ process: { cwd: "tmp" } }, 'process.cwd: "tmp" is not an absolute path'],
  [{ process: { cwd: "/", args: [] } }, "process.args: at least 1 element is wanted"],
  [{ process: { cwd: "/", args: ["a", 1] } }, "process.args[1]: a string is wanted, not a number"],
  [
    { process: { cwd: "/", user: { uid: -1, gid: 0 } } },
    "process.user.uid: -1 is not between 0 and 4294967295",
  ],
  [{ process: { cwd: "/", user: { uid: 0.5, gid: 0 } } }, "process.user.uid: an integer is wanted, not 0.5"],
  [{ process: { cwd: "/", terminal: "yes" } }, "process.terminal: true or false is wanted, not a string"],
  [
    { process: { cwd: "/", rlimits: [{ type: "RLIMIT_CORE", soft: 2n ** 64n, hard: 0 }] } },
    "process.rlimits[0].soft: 18446744073709551616 is not between 0 and 18446744073709551615",
  ],
  [
    { process: { cwd: "/", rlimits: [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }] } },
    "process.rlimits[0].soft: 2 is more than the hard limit, 1",
  ],
  [
    {
      process: {
        cwd: "/",
        rlimits: [
          { type: "RLIMIT_CORE", soft: 1, hard: 1 },
          { type: "RLIMIT_CORE", soft: 1, hard: 1 },
        ],
      },
    },
    "process.rlimits[1]: RLIMIT_CORE is there twice",
  ],
  [{ hooks: { poststop: [{ path: "true" }] } }, 'hooks.poststop[0].path: "true" is not an absolute path'],
  [
    { hooks: { poststop: [{ path: "/true", timeout: 0 }] } },
    "hooks.poststop[0].timeout: 0 is not more than 0",
  ],
  [{ annotations: { a: 1 } }, 'annotations["a"]: a string is wanted, not a number'],
  [
    { linux: { namespaces: [{ type: "nets" }] } },
    'linux.namespaces[0].type: "nets" is none of pid, network, mount, ipc, uts, user, cgroup, time',
  ],
  [
    { linux: { namespaces: [{ type: "pid" }, { type: "pid" }] } },
    "linux.namespaces[1]: the namespace pid is there twice",
  ],
  [
    { linux: { resources: { memory: { limit: "1G" } } } },
    "linux.resources.memory.limit: an integer is wanted, not a string",
  ],
  [{ linux: { resources: { pids: {} } } }, "linux.resources.pids.limit: is missing"],
];

describe("config.json", () => {
  it("comes back as it was, unknown fields and 64-bit numbers included", () => {
    assert.equal(stringifyLossless(parseConfig(sampleConfig)), compact(sampleConfig).replace("\\u00e9", "é"));
  });

  it("gives exact numbers", () => {
    const { process, linux } = parseConfig(sampleConfig);
    assert.deepEqual(
      [process?.rlimits?.[0], linux?.resources?.memory?.limit],
      [{ type: "RLIMIT_NOFILE", hard: 2n ** 64n - 1n, soft: 2n ** 63n - 1n }, 9007199254740993n],
    );
  });

  it("is accepted as runc writes it", async () => {
    const { stdout } = await check([
      "sh",
      "-c",
      "d=$(mktemp -d) && cd $d && runc spec && cat config.json; rm -r $d",
    ]);
    assert.equal(stringifyLossless(parseConfig(stdout)), compact(stdout));
  });

  it("is accepted with nothing but what is required", () => {
    assert.deepEqual(problemsOf(minimal), []);
  });

  for (const [change, problem] of wrong) {
    it(`is refused: ${problem}`, () => {
      assert.deepEqual(problemsOf({ ...minimal, ...change }), [problem]);
    });
  }

  it("is refused with every problem told", () => {
    assert.throws(
      () => parseConfig('{"root":{"path":""},"process":{"cwd":1}}'),
      (error) =>
        error instanceof SpecError &&
        error.message ===
          'config.json: ociVersion: is missing; root.path: "" is not allowed: a name is wanted; ' +
            "process.cwd: a string is wanted, not a number",
    );
  });

  it("has parts that are checked on their own: a process, resources", () => {
    assert.throws(() => checkProcess({ args: ["a"] }), { message: "process: cwd: is missing" });
    assert.throws(() => checkResources([]), {
      message: "resources: resources: an object is wanted, not an array",
    });
  });

  it("gives a config, a JsonError or a SpecError after any change of its text", () => {
    const change = fc.tuple(
      fc.nat(),
      fc.nat(12),
      fc.constantFrom(
        "",
        "0",
        "-1",
        '"',
        "{",
        "}",
        "[",
        "]",
        "null",
        "99999999999999999999",
        "1e5",
        "\\",
        ",",
        "\u0000",
      ),
    );
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        let text = sampleConfig;
        for (const [where, length, insertion] of changes) {
          const place = where % text.length;
          text = text.slice(0, place) + insertion + text.slice(place + length);
        }
        try {
          const config = parseConfig(text);
          assert.equal(stringifyLossless(parseConfig(stringifyLossless(config))), stringifyLossless(config));
        } catch (error) {
          if (!(error instanceof JsonError || error instanceof SpecError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("is checked without an unforeseen error whatever value stands in a field", () => {
    const paths = leafPaths(parseLossless(sampleConfig));
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.bigInt(),
      fc.constantFrom<unknown>(null, {}, [], "", -1, 2 ** 53, { __proto__: null }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths), anything, (path, value) => {
        const config = parseLossless(sampleConfig);
        set(config, path, value);
        for (const problem of problemsOf(config)) assert.match(problem, /^[\w.[\]"-]+: ./);
      }),
      { numRuns: 3000 },
    );
  });
});

function leafPaths(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [[]];
  return [
    [],
    ...Object.entries(value).flatMap(([key, item]) => leafPaths(item).map((path) => [key, ...path])),
  ].filter((path) => path.length > 0);
}

function set(target: unknown, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  const fields = target as Record<string, unknown>;
  if (rest.length === 0) fields[key] = value;
  else set(fields[key], rest, value);
}
