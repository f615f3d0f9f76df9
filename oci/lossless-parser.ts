import {
  JsonError,
  JsonNumber,
  maximumDepth,
  type JsonErrorCode,
  type JsonObject,
  type JsonValue,
} from "./json-value.js";

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const integerPattern = /^-?(?:0|[1-9][0-9]*)$/;
/** What stands in a string without an escape: RFC 8259, section 7. */
const plainPattern = /[^"\\\u0000-\u001f]*/y;
const blankPattern = /[ \t\n\r]*/y;
/** Keys that JavaScript lists before all others, whatever their place in the text. */
const indexPattern = /^(?:0|[1-9][0-9]{0,9})$/;

const escapes: Partial<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** One pass over one text. */
export class JsonParser {
  private position = 0;

  constructor(
    private readonly text: string,
    private readonly keyOrders: WeakMap<object, readonly string[]>,
  ) {}

  parse(): JsonValue {
    const value = this.value(0);
    this.blanks();
    if (this.position < this.text.length) throw this.unexpected("the end");
    return value;
  }

  private value(depth: number): JsonValue {
    if (depth > maximumDepth) throw this.error("too-deep", `nested deeper than ${maximumDepth}`);
    this.blanks();
    switch (this.text[this.position]) {
      case "{":
        return this.object(depth);
      case "[":
        return this.array(depth);
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private object(depth: number): JsonObject {
    this.position += 1;
    const fields: JsonObject = {};
    const order: string[] = [];
    let reordered = false;
    this.blanks();
    if (this.take("}")) return fields;
    for (;;) {
      this.blanks();
      if (this.text[this.position] !== '"') throw this.unexpected("a key in quotes");
      const start = this.position;
      const key = this.string();
      if (Object.hasOwn(fields, key))
        throw this.error("duplicate-key", `the key ${JSON.stringify(key)} is there twice`, start);
      this.blanks();
      if (!this.take(":")) throw this.unexpected('":"');
      const value = this.value(depth + 1);
      // An assignment to "__proto__" would set the prototype.
      Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true });
      reordered ||= indexPattern.test(key);
      order.push(key);
      this.blanks();
      if (this.take("}")) break;
      if (!this.take(",")) throw this.unexpected('"," or "}"');
    }
    if (reordered) this.keyOrders.set(fields, order);
    return fields;
  }

  private array(depth: number): JsonValue[] {
    this.position += 1;
    const elements: JsonValue[] = [];
    this.blanks();
    if (this.take("]")) return elements;
    for (;;) {
      elements.push(this.value(depth + 1));
      this.blanks();
      if (this.take("]")) return elements;
      if (!this.take(",")) throw this.unexpected('"," or "]"');
    }
  }

  private string(): string {
    const start = this.position;
    this.position += 1;
    let result = "";
    for (;;) {
      result += this.match(plainPattern);
      const next = this.text[this.position];
      if (next === '"') {
        this.position += 1;
        return result;
      }
      if (next === undefined) throw this.error("malformed", "the string has no end", start);
      if (next !== "\\") throw this.error("malformed", "a control character in a string");
      result += this.escape();
    }
  }

  private escape(): string {
    const name = this.text[this.position + 1] ?? "";
    if (name === "u") {
      const digits = this.text.slice(this.position + 2, this.position + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits))
        throw this.error("malformed", "\\u without four hexadecimal digits");
      this.position += 6;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const character = escapes[name];
    if (character === undefined) throw this.error("malformed", "an unknown escape in a string");
    this.position += 2;
    return character;
  }

  private number(): number | bigint | JsonNumber {
    const text = this.match(numberPattern);
    if (text === "") throw this.unexpected("a value");
    const number = Number(text);
    if (Number.isSafeInteger(number) && number.toString() === text) return number;
    if (integerPattern.test(text) && text !== "-0") return BigInt(text);
    return number.toString() === text ? number : new JsonNumber(text);
  }

  private word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.position)) throw this.unexpected("a value");
    this.position += word.length;
    return value;
  }

  private blanks(): void {
    this.match(blankPattern);
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.position += found.length;
    return found;
  }

  private take(character: string): boolean {
    if (this.text[this.position] !== character) return false;
    this.position += 1;
    return true;
  }

  private unexpected(wanted: string): JsonError {
    const found = this.text[this.position];
    return this.error(
      "malformed",
      `${found === undefined ? "the end" : JSON.stringify(found)} instead of ${wanted}`,
    );
  }

  private error(code: JsonErrorCode, problem: string, offset = this.position): JsonError {
    const before = this.text.slice(0, offset);
    const line = before.split("\n").length;
    return new JsonError(code, problem, offset, line, before.length - before.lastIndexOf("\n"));
  }
}
