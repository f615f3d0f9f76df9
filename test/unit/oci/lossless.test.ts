import assert from "node:assert/strict";
import fc from "fast-check";
import {
  integerOf,
  JsonError,
  JsonNumber,
  parseLossless,
  stringifyLossless,
  type JsonErrorCode,
  type JsonValue,
} from "../../../oci/lossless.js";

/** Texts that come back exactly as they were. */
const kept = [
  "null",
  "true",
  "0",
  "-0",
  "18446744073709551615",
  "-9223372036854775808",
  "9007199254740993",
  "123456789012345678901234567890",
  "1.50",
  "1e3",
  "1E+2",
  "1e400",
  "0.1",
  "1e+21",
  '""',
  '"\\ud800"',
  '"\u2028 \u00e9 \u{1f600}"',
  "[]",
  "{}",
  '{"b":1,"a":2,"2":3,"1":4}',
  '{"__proto__":{"polluted":true},"constructor":1}',
  '{"soft":18446744073709551615,"hard":18446744073709551615,"x":{"unknown":[1,{"2":0,"1":0}]}}',
];

const refused: [text: string | Uint8Array, code: JsonErrorCode, message: string][] = [
  ["", "malformed", "line 1, column 1: the end instead of a value"],
  ["{", "malformed", "line 1, column 2: the end instead of a key in quotes"],
  ["{a:1}", "malformed", 'line 1, column 2: "a" instead of a key in quotes'],
  ['{"a" 1}', "malformed", 'line 1, column 6: "1" instead of ":"'],
  ['{"a":1,}', "malformed", 'line 1, column 8: "}" instead of a key in quotes'],
  ["[1,]", "malformed", 'line 1, column 4: "]" instead of a value'],
  ["[1 2]", "malformed", 'line 1, column 4: "2" instead of "," or "]"'],
  ["01", "malformed", 'line 1, column 2: "1" instead of the end'],
  ["+1", "malformed", 'line 1, column 1: "+" instead of a value'],
  ["1.", "malformed", 'line 1, column 2: "." instead of the end'],
  ["NaN", "malformed", 'line 1, column 1: "N" instead of a value'],
  ["nul", "malformed", 'line 1, column 1: "n" instead of a value'],
  ['"a', "malformed", "line 1, column 1: the string has no end"],
  ['"a\nb"', "malformed", "line 1, column 3: a control character in a string"],
  ['"\\x"', "malformed", "line 1, column 2: an unknown escape in a string"],
  ['"\\u12g4"', "malformed", "line 1, column 2: \\u without four hexadecimal digits"],
  ["\ufeff{}", "malformed", 'line 1, column 1: "\ufeff" instead of a value'],
  ['{\n  "a": 1,\n  "a": 2\n}', "duplicate-key", 'line 3, column 3: the key "a" is there twice'],
  ['{"a":1,"\\u0061":2}', "duplicate-key", 'line 1, column 8: the key "a" is there twice'],
  ["[".repeat(1002), "too-deep", "line 1, column 1002: nested deeper than 1000"],
  [Buffer.from([0x22, 0x0a, 0xff, 0x22]), "invalid-utf8", "line 2, column 1: not UTF-8"],
];

describe("lossless JSON", () => {
  for (const text of kept) {
    it(`gives back ${text} as it was`, () => {
      assert.equal(stringifyLossless(parseLossless(text)), text);
    });
  }

  for (const [text, code, message] of refused) {
    it(`refuses ${JSON.stringify(text.toString().slice(0, 30))}: ${code}`, () => {
      assert.throws(
        () => parseLossless(text),
        (error) => error instanceof JsonError && error.code === code && error.message === message,
      );
    });
  }

  it("gives plain numbers where they are exact, bigint for long integers, and the text for the rest", () => {
    assert.deepEqual(parseLossless("[1, -2, 0.5, 18446744073709551615, 1.50]"), [
      1,
      -2,
      0.5,
      18446744073709551615n,
      new JsonNumber("1.50"),
    ]);
  });

  it("reads integers exactly and refuses what is none", () => {
    assert.deepEqual([1, 2n ** 64n - 1n, 0.5, "1", new JsonNumber("1e3"), 2 ** 53].map(integerOf), [
      1n,
      18446744073709551615n,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("does not let a document set a prototype", () => {
    const value = parseLossless('{"__proto__":{"polluted":true}}') as object;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal("polluted" in value, false);
  });

  it("writes with indentation as JSON.stringify does", () => {
    const value = { a: [1, { b: [], c: {} }], d: "x", gone: undefined };
    assert.equal(stringifyLossless(value, 2), JSON.stringify(value, null, 2));
  });

  it("keeps the order of keys after a field is removed and another is added", () => {
    const value = parseLossless('{"z":1,"1":2,"0":3}') as Record<string, JsonValue>;
    delete value["1"];
    value["new"] = 4;
    assert.equal(stringifyLossless(value), '{"z":1,"0":3,"new":4}');
  });

  it("agrees with JSON.parse on whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const compact = stringifyLossless(parseLossless(text));
        assert.deepEqual(JSON.parse(compact), JSON.parse(text));
        assert.equal(stringifyLossless(parseLossless(compact)), compact);
      }),
    );
  });

  it("accepts exactly the changed texts that JSON.parse accepts, duplicate keys aside", () => {
    const characters = '{}[]",:\\0123456789.eE+-truefalsn \n\u0001u';
    const change = fc.tuple(fc.nat(), fc.constantFrom(...Array.from(characters), ""), fc.boolean());
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (text, changes) => {
          for (const [where, character, insert] of changes) {
            const place = where % (text.length + 1);
            text = text.slice(0, place) + character + text.slice(insert ? place : place + 1);
          }
          let accepted = true;
          try {
            JSON.parse(text);
          } catch {
            accepted = false;
          }
          try {
            const value = parseLossless(text);
            assert.ok(accepted, `accepted ${text}`);
            assert.deepEqual(JSON.parse(stringifyLossless(value)), JSON.parse(text));
          } catch (error) {
            if (!(error instanceof JsonError)) throw error;
            assert.ok(!accepted || error.code === "duplicate-key", `refused ${text}: ${error.message}`);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("ends with a value or a JsonError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          parseLossless(bytes);
        } catch (error) {
          if (!(error instanceof JsonError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});
