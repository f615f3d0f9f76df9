import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { parse, TomlError } from "smol-toml";
import { SettingsError } from "./errors.js";
import { keyLines } from "./key-lines.js";
import { schema, type Key, type Section, type Settings } from "./schema.js";
import { parseTranslator } from "./translators.js";

/** Where tine.toml is looked for when nobody names another place. */
export const defaultPath = "/etc/tine/tine.toml";

const sections: Readonly<Record<string, Section>> = schema;

/** The settings of an empty file. */
export function defaultSettings(): Settings {
  return fill({});
}

/** Where the settings come from. */
export interface SettingsSource {
  /** A file named by the client (`--runtime-config-path`, runtime options): it has to exist. */
  path?: string | undefined;
  /** The file's text, given by the client in its stead. */
  body?: string | undefined;
  /** `TINE_CONFIG` names a file, which has to exist too; process.env unless given. */
  environment?: NodeJS.ProcessEnv;
}

/**
 * Reads the settings: the client's text, else the client's file, else that of `TINE_CONFIG`, else
 * /etc/tine/tine.toml if it is there, else the defaults.
 *
 * @throws {SettingsError} when a named file cannot be read, or says what it must not.
 */
export function loadSettings(source: SettingsSource = {}): Settings {
  if (source.body !== undefined && source.body !== "") return parseSettings(source.body, "runtime options");
  const named = source.path || (source.environment ?? process.env)["TINE_CONFIG"];
  const path = named || defaultPath;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!named && code === "ENOENT") return defaultSettings();
    throw new SettingsError("unreadable", path, undefined, undefined, message);
  }
  return parseSettings(text, path);
}

/**
 * Reads the text of a tine.toml.
 *
 * @param file the name that errors give it.
 * @throws {SettingsError} for what is not TOML, an unknown key, a value that its key does not take.
 */
export function parseSettings(text: string, file: string): Settings {
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const problem = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    throw new SettingsError("malformed", file, error.line, undefined, problem);
  }
  const lines = keyLines(text);
  for (const [sectionName, content] of Object.entries(document)) {
    const section = Object.hasOwn(sections, sectionName) ? sections[sectionName] : undefined;
    if (section === undefined) {
      const known = Object.keys(sections).join(", ");
      throw new SettingsError(
        "unknown-key",
        file,
        lineOf(lines, sectionName),
        sectionName,
        `no such section; there are ${known}`,
      );
    }
    if (!isTable(content)) {
      throw new SettingsError(
        "bad-value",
        file,
        lineOf(lines, sectionName),
        sectionName,
        "a section is wanted, not a value",
      );
    }
    for (const [keyName, value] of Object.entries(content)) {
      const path = `${sectionName}.${keyName}`;
      const key = Object.hasOwn(section.keys, keyName) ? section.keys[keyName] : undefined;
      if (key === undefined) {
        const known = Object.keys(section.keys).join(", ");
        throw new SettingsError(
          "unknown-key",
          file,
          lineOf(lines, path),
          path,
          `no such key; [${sectionName}] has ${known}`,
        );
      }
      const problem = wrongWith(key, value);
      if (problem !== undefined)
        throw new SettingsError("bad-value", file, lineOf(lines, path), path, problem);
    }
  }
  return fill(document);
}

/** A key inside an inline table stands on the table's line. */
function lineOf(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  return lines.get(path) ?? lines.get(path.slice(0, Math.max(0, path.lastIndexOf("."))));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function wrongWith(key: Key, value: unknown): string | undefined {
  if (key.kind === "amount") {
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= key.most)
      return undefined;
    const what = typeof value === "number" ? String(value) : kindOf(value);
    return `a whole number from 0 to ${key.most} is wanted (${key.unit}), not ${what}`;
  }
  if (typeof value !== "string") return `a string is wanted, not ${kindOf(value)}`;
  switch (key.kind) {
    case "choice":
      if (Object.hasOwn(key.choices, value)) return undefined;
      return `${JSON.stringify(value)} is none of ${Object.keys(key.choices).join(", ")}`;
    case "program":
      if (value === key.fallback || isAbsolute(value) || /^[^/\0]+$/.test(value)) return undefined;
      return `${JSON.stringify(value)} is neither an absolute path nor a name to look up in PATH`;
    case "translator":
      if (value === "" || parseTranslator(value) !== undefined) return undefined;
      return `${JSON.stringify(value)} is not an absolute path, perhaps with some of the flags P, O, C, F behind a colon`;
    case "address":
      if (value === "" || (isAbsolute(value) && !value.includes("\0")) || isLoopback(value)) return undefined;
      return `${JSON.stringify(value)} is neither an absolute path nor 127.0.0.1:PORT or [::1]:PORT`;
    case "path":
      if (isAbsolute(value) && !value.includes("\0")) return undefined;
      return `${JSON.stringify(value)} is not an absolute path`;
  }
}

/** A port that nobody else's machine reaches. */
function isLoopback(value: string): boolean {
  const port = /^(?:127\.\d+\.\d+\.\d+|\[::1\]):(\d{1,5})$/.exec(value)?.[1];
  return port !== undefined && Number(port) > 0 && Number(port) < 65536;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "a table" : `a ${typeof value}`;
}

/** The checked document over the defaults. */
function fill(document: Record<string, unknown>): Settings {
  const settings: Record<string, Record<string, unknown>> = {};
  for (const [name, section] of Object.entries(sections)) {
    const defaults = Object.entries(section.keys).map(([key, { fallback }]) => [key, fallback]);
    settings[name] = {
      ...(Object.fromEntries(defaults) as object),
      ...(document[name] as object | undefined),
    };
  }
  return settings as unknown as Settings;
}
