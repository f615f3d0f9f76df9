/**
 * Finds on which line of a TOML text each key stands, which the parser does not tell. The text is known to be
 * well-formed TOML.
 *
 * @returns the line (from 1) of each `table` and `table.key`, by its dotted path; the first where there are
 * several.
 * @see TOML 1.0
 */
export function keyLines(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const remember = (path: readonly string[], line: number): void => {
    for (let length = 1; length <= path.length; length += 1) {
      const name = path.slice(0, length).join(".");
      if (!lines.has(name)) lines.set(name, line);
    }
  };
  let table: string[] = [];
  let position = 0;
  let line = 1;
  while (position < text.length) {
    const end = endOfLine(text, position);
    const header = /^[ \t]*\[\[?/.exec(text.slice(position, end));
    if (header !== null) {
      table = keysAt(text, position + header[0].length).keys;
      remember(table, line);
      position = end;
    } else {
      const { keys, next } = keysAt(text, position);
      if (keys.length > 0 && text[next] === "=") {
        remember([...table, ...keys], line);
        const after = endOfValue(text, next + 1);
        line += newLines(text, position, after);
        position = endOfLine(text, after);
      } else {
        position = end;
      }
    }
    position += 1;
    line += 1;
  }
  return lines;
}

function endOfLine(text: string, position: number): number {
  const end = text.indexOf("\n", position);
  return end < 0 ? text.length : end;
}

function newLines(text: string, from: number, to: number): number {
  return text.slice(from, to).split("\n").length - 1;
}

const keyPattern = /[ \t]*(?:([A-Za-z0-9_-]+)|"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)')[ \t]*/y;

/** The dotted key at a position, and where it ends. */
function keysAt(text: string, position: number): { keys: string[]; next: number } {
  const keys: string[] = [];
  for (;;) {
    keyPattern.lastIndex = position;
    const match = keyPattern.exec(text);
    if (match === null) return { keys, next: position };
    keys.push(match[1] ?? match[3] ?? unquote(match[2] ?? ""));
    position = keyPattern.lastIndex;
    if (text[position] !== ".") return { keys, next: position };
    position += 1;
  }
}

/** A basic string's content, as far as JSON has the same escapes; as it stands otherwise. */
function unquote(content: string): string {
  try {
    return JSON.parse(`"${content}"`) as string;
  } catch {
    return content;
  }
}

/** Where a value ends: strings, arrays and inline tables may go over several lines. */
function endOfValue(text: string, position: number): number {
  let depth = 0;
  while (position < text.length) {
    const character = text[position];
    if (character === '"' || character === "'") {
      position = endOfString(text, position, character);
      continue;
    }
    if (character === "#") {
      position = endOfLine(text, position);
      continue;
    }
    if (character === "[" || character === "{") depth += 1;
    if (character === "]" || character === "}") depth -= 1;
    if (character === "\n" && depth <= 0) return position;
    position += 1;
  }
  return position;
}

function endOfString(text: string, position: number, quote: string): number {
  const triple = quote.repeat(3);
  const delimiter = text.startsWith(triple, position) ? triple : quote;
  position += delimiter.length;
  while (position < text.length && !text.startsWith(delimiter, position)) {
    position += quote === '"' && text[position] === "\\" ? 2 : 1;
  }
  position += delimiter.length;
  // One or two quotes may stand right before the closing three.
  while (delimiter === triple && text[position] === quote) position += 1;
  return position;
}
