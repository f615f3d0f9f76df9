/** A JSON object whose fields are not known yet. */
export type Fields = Record<string, unknown>;

/** The value as an object; undefined when it is anything else. */
export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The value as a list; empty when it is anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The strings among a list's elements. */
export function textsOf(value: unknown): readonly string[] {
  return listOf(value).filter((element) => typeof element === "string");
}

/** The value as a string; undefined when it is anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
