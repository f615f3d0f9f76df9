import assert from "node:assert/strict";
import { parseStreamUri } from "../../../shim/stdio/uri.js";

describe("a stream's address", () => {
  const cases = [
    ["", { kind: "nothing" }],
    ["/run/x/stdout", { kind: "fifo", path: "/run/x/stdout" }],
    ["/odd://path", { kind: "fifo", path: "/odd://path" }],
    ["fifo:///run/x", { kind: "fifo", path: "/run/x" }],
    ["file:///var/log/a%20b", { kind: "file", path: "/var/log/a b" }],
    [
      "binary:///usr/bin/log?k=v&dir=/a%20b&k=w",
      { kind: "binary", path: "/usr/bin/log", args: ["k", "v", "dir", "/a b"] },
    ],
  ] as const;
  for (const [text, expected] of cases) {
    it(`${JSON.stringify(text)} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(parseStreamUri(text), expected);
    });
  }

  it("is refused with a scheme there is not", () => {
    assert.throws(() => parseStreamUri("npipe://x"), { code: "invalid-argument" });
  });
});
