import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { check } from "../harness/command.js";
import { repository } from "../harness/paths.js";

const keys = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"] as const;

interface Answer {
  readonly valid: boolean;
  readonly values: (string | null)[];
}

/** What a full parser finds, as the scanner reports it. */
function reference(input: Buffer): Answer {
  const nothing = { valid: false, values: [null, null] };
  let document: unknown;
  try {
    document = JSON.parse(input.toString("latin1"));
  } catch {
    return nothing;
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    return nothing;
  }
  const annotations = (document as Record<string, unknown>)["annotations"];
  const values = keys.map((key) => {
    if (typeof annotations !== "object" || annotations === null || Array.isArray(annotations)) {
      return null;
    }
    const value = (annotations as Record<string, unknown>)[key];
    return typeof value === "string" ? Buffer.from(value, "latin1").toString("hex") : null;
  });
  return { valid: true, values };
}

/** Pseudo-random numbers that a seed repeats (xorshift32). */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % bound;
  };
}

/** Bytes that JSON's grammar turns on. */
const alphabet = Buffer.from('{}[]",:\\u019-+.eE tfn/bdD8\0\x1f\xff', "latin1");

function mutate(bytes: Buffer, random: (bound: number) => number): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let count = random(4) + 1; count > 0; count -= 1) {
    const at = random(changed.length + 1);
    const kept = changed.subarray(0, at);
    const rest = changed.subarray(at + random(3));
    const added = Buffer.from([alphabet[random(alphabet.length)] ?? 0]);
    changed = Buffer.concat(random(3) === 0 ? [kept, rest] : [kept, added, rest]);
  }
  return changed;
}

const seeds = [
  `{"ociVersion":"1.0.2","process":{"args":["sh","-c","echo \\"]}\\""],"rlimits":[{"soft":1.5e3}]},"annotations":{"io.kubernetes.cri.sandbox-id":"abc","x":{"y":[1,2]}},"root":null}`,
  `{"annotations":{"io.containerd.runc.v2.group":"a\\u0041\\n","io.kubernetes.cri.sandbox-id":-0.5e-7}}`,
  ` { "annotations" : { } , "a" : [ ] , "b" : [ [ ] , { } , true , false , null ] } `,
  `[shim]\ngroup = "pod" # {}\n`,
].map((text) => Buffer.from(text));

describe("the launcher's parsers under arbitrary input", function () {
  this.timeout(120_000);
  let folder: string;
  let driver: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-fuzz-"));
    driver = join(folder, "driver");
    const sources = ["json_scanner.cc", "protobuf.cc", "settings.cc", "files.cc"];
    await check(
      [
        ...["g++", "-std=c++20", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-D_GLIBCXX_ASSERTIONS"],
        ...["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", driver],
        join(repository, "test/fuzz/launcher/driver.cc"),
        ...sources.map((name) => join(repository, "shim/launcher", name)),
      ],
      { limit: 100_000 },
    );
  });

  after(() => rm(folder, { recursive: true, force: true }));

  async function scan(inputs: readonly Buffer[]): Promise<Answer[]> {
    const framed = inputs.flatMap((input) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(input.length);
      return [length, input];
    });
    const { stdout } = await check([driver], { input: Buffer.concat(framed), limit: 100_000 });
    return stdout
      .trimEnd()
      .split("\n")
      .map((line) => {
        const { valid, values } = JSON.parse(line) as Answer;
        return { valid, values };
      });
  }

  async function compare(inputs: readonly Buffer[]): Promise<void> {
    const answers = await scan(inputs);
    for (const [index, input] of inputs.entries()) {
      assert.deepEqual(answers[index], reference(input), JSON.stringify(input.toString("latin1")));
    }
  }

  it("agree with a full parser on any JSON document", async () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    const document = fc.record(
      {
        ociVersion: value,
        annotations: fc.oneof(value, fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value)),
        process: value,
      },
      { requiredKeys: [] },
    );
    // ASCII alone, escapes included: what lies beyond has its own test.
    const ascii = (text: string): string =>
      text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const texts = fc
      .sample(document, { numRuns: 3000, seed: 7 })
      .map((one) => Buffer.from(ascii(JSON.stringify(one))));
    const answers = await scan(texts);
    for (const [index, input] of texts.entries()) {
      const { valid, values } = reference(input);
      const utf8 = values.map((hexadecimal, position) => {
        const annotations = (JSON.parse(input.toString()) as { annotations?: Record<string, string> })
          .annotations;
        const key = keys[position] ?? "";
        return hexadecimal === null ? null : Buffer.from(annotations?.[key] ?? "").toString("hex");
      });
      assert.deepEqual(answers[index], { valid, values: utf8 }, input.toString());
    }
  });

  it("agree with a full parser on mutated documents, and touch no byte beyond them", async () => {
    const random = generator(1_234_567);
    const inputs: Buffer[] = [...seeds];
    while (inputs.length < 30_000) {
      const mutated = mutate(seeds[random(seeds.length)] ?? Buffer.alloc(0), random);
      // Escapes above ASCII come out as UTF-8, which the reference does not model.
      if (!/\\u(?!00[0-7])/i.test(mutated.toString("latin1"))) {
        inputs.push(mutated);
      }
    }
    await compare(inputs);
  });

  it("survive any bytes", async () => {
    const inputs = fc
      .sample(fc.uint8Array({ maxLength: 200 }), { numRuns: 5000, seed: 11 })
      .map((bytes) => Buffer.from(bytes));
    assert.equal((await scan(inputs)).length, inputs.length);
  });

  it("refuse nesting too deep to be meant, without recursion", async () => {
    const nested = (depth: number): Buffer => Buffer.from(`{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`);
    const [shallow, deep, absurd] = await scan([nested(1001), nested(1002), nested(1_000_000)]);
    assert.deepEqual([shallow?.valid, deep?.valid, absurd?.valid], [true, false, false]);
  });

  it("turn escapes into UTF-8, and half a surrogate pair into U+FFFD", async () => {
    const inputs = ["\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\ude00x", "\\ud83d\\u0041", "\u00e9"];
    const answers = await scan(
      inputs.map((text) => Buffer.from(`{"annotations":{"io.containerd.runc.v2.group":"${text}"}}`)),
    );
    assert.deepEqual(
      answers.map(({ values }) => Buffer.from(values[0] ?? "", "hex").toString()),
      ["é", "😀", "\ufffd", "\ufffdx", "\ufffdA", "é"],
    );
  });
});
