/**
 * JSON that loses nothing. `JSON.parse` rounds 18446744073709551615, which container specifications hold (an
 * unlimited rlimit); here such numbers become a `bigint`, and what no JavaScript number writes back as it was
 * read (`1.50`, `1e400`, `-0`) becomes a {@link JsonNumber} that keeps its text. Keys stay in their order.
 *
 * @see RFC 8259
 */

import { JsonError, JsonNumber, type JsonObject, type JsonValue } from "./json-value.js";
import { JsonParser } from "./lossless-parser.js";

export {
  JsonError,
  JsonNumber,
  maximumDepth,
  type JsonErrorCode,
  type JsonObject,
  type JsonValue,
} from "./json-value.js";

/** The order of an object's keys, for objects whose own order differs: JavaScript puts `"1"` before `"a"`. */
const keyOrders = new WeakMap<object, readonly string[]>();

/**
 * Reads one JSON text.
 *
 * @param text a string, or bytes in UTF-8 without a byte order mark.
 * @throws {JsonError} when it is not well-formed, has a key twice in one object, or is too deep.
 */
export function parseLossless(text: string | Uint8Array): JsonValue {
  const source = typeof text === "string" ? text : decode(text);
  return new JsonParser(source, keyOrders).parse();
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const good = Buffer.from(bytes);
    // The first place where decoding and encoding again does not give the same bytes.
    const again = Buffer.from(good.toString("utf8"));
    let offset = 0;
    while (offset < good.length && good[offset] === again[offset]) offset += 1;
    const before = good.subarray(0, offset).toString("utf8");
    const line = before.split("\n").length;
    const column = before.length - before.lastIndexOf("\n");
    throw new JsonError("invalid-utf8", "not UTF-8", offset, line, column);
  }
}

/**
 * Writes a value so that {@link parseLossless} gives an equal one: without white space, or with `indent`
 * spaces a level.
 *
 * @throws {TypeError} for what JSON cannot hold: undefined, functions, NaN, infinities.
 */
export function stringifyLossless(value: unknown, indent = 0): string {
  return write(value, indent, indent === 0 ? "" : "\n");
}

function write(value: unknown, indent: number, newLine: string): string {
  if (value === null) return "null";
  if (value instanceof JsonNumber) return value.text;
  switch (typeof value) {
    case "boolean":
    case "bigint":
      return value.toString();
    case "string":
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`JSON has no ${value}`);
      return Object.is(value, -0) ? "-0" : value.toString();
    case "object":
      break;
    default:
      throw new TypeError(`JSON has no ${typeof value}`);
  }
  const inner = newLine === "" ? "" : newLine + " ".repeat(indent);
  const between = `,${inner}`;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((element) => write(element, indent, inner)).join(between)}${newLine}]`;
  }
  const fields = value as Record<string, unknown>;
  const colon = newLine === "" ? ":" : ": ";
  const members = keysInOrder(fields)
    // As JSON.stringify does: a field set to undefined is a field taken out.
    .filter((key) => fields[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}${colon}${write(fields[key], indent, inner)}`);
  return members.length === 0 ? "{}" : `{${inner}${members.join(between)}${newLine}}`;
}

/** An object's keys as they stood in the text; those added since at the end. */
function keysInOrder(fields: Record<string, unknown>): string[] {
  const keys = Object.keys(fields);
  const order = keyOrders.get(fields);
  if (order === undefined) return keys;
  const known = new Set(order);
  return [...order.filter((key) => Object.hasOwn(fields, key)), ...keys.filter((key) => !known.has(key))];
}

/** Whether a value is a JSON object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}

/** A JSON number as an exact integer; undefined when the value is no number or no integer. */
export function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return undefined;
}
