/** A number kept as its text, because no JavaScript number would be written back the same. */
export class JsonNumber {
  constructor(
    /** As RFC 8259, section 6 has it. */
    readonly text: string,
  ) {}
}

/** What {@link parseLossless} makes. */
export type JsonValue = null | boolean | string | number | bigint | JsonNumber | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

/** What is wrong with a text that should be JSON. */
export type JsonErrorCode = "malformed" | "duplicate-key" | "too-deep" | "invalid-utf8";

/** A text that is not JSON, or not JSON that is accepted here, and where. */
export class JsonError extends Error {
  override readonly name = "JsonError";

  constructor(
    readonly code: JsonErrorCode,
    problem: string,
    /** UTF-16 units before the place (bytes, for `invalid-utf8`). */
    readonly offset: number,
    /** From 1. */
    readonly line: number,
    /** From 1, in UTF-16 units. */
    readonly column: number,
  ) {
    super(`line ${line}, column ${column}: ${problem}`);
  }
}

/** Values nested deeper than this are refused. */
export const maximumDepth = 1000;
