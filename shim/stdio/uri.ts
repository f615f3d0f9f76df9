import { RuntimeError } from "../../runtime/errors.js";

/** Where a stream goes to, as a task request names it. */
export type StreamUri =
  | { readonly kind: "nothing" }
  | { readonly kind: "fifo"; readonly path: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "binary"; readonly path: string; readonly args: readonly string[] };

/**
 * Reads `stdin`, `stdout` or `stderr` of a request.
 *
 * @throws RuntimeError `invalid-argument` for a scheme there is not
 */
export function parseStreamUri(text: string): StreamUri {
  if (text === "") {
    return { kind: "nothing" };
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1];
  if (scheme === undefined) {
    return { kind: "fifo", path: text };
  }
  let uri: URL;
  try {
    uri = new URL(text);
  } catch (error) {
    throw new RuntimeError("invalid-argument", `${text} is no URI`, { cause: error });
  }
  // `binary://name` has its path where a host would be.
  const path = decodeURIComponent(uri.host + uri.pathname);
  switch (scheme) {
    case "fifo":
      return { kind: "fifo", path };
    case "file":
      return { kind: "file", path };
    case "binary": {
      const names = [...new Set(uri.searchParams.keys())];
      const args = names.flatMap((name) => [name, uri.searchParams.get(name) ?? ""]);
      return { kind: "binary", path, args };
    }
    default:
      throw new RuntimeError("invalid-argument", `streams cannot go to ${scheme}://`);
  }
}
