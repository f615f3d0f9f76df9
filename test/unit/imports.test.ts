import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { repository } from "../harness/paths.js";

/**
 * What each part may import beside itself. The longest matching prefix says which part a file belongs to, so
 * a folder that is a package of its own stands apart from the one around it.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "oci/": [],
  "config/": [],
  "native/addon/": [],
  "shim/ttrpc/": [],
  "runtime/": ["oci/", "config/", "native/addon/"],
  "shim/": ["shim/ttrpc/", "runtime/", "oci/", "config/", "native/addon/"],
  "test/harness/": ["oci/"],
  "scripts/": ["test/harness/"],
  "bench/": ["test/harness/"],
};

const parts = Object.keys(allowed).sort((a, b) => b.length - a.length);

function partOf(path: string): string | undefined {
  return parts.find((part) => path.startsWith(part));
}

function sources(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name).slice(repository.length + 1));
}

function relativeImports(path: string): string[] {
  const text = readFileSync(join(repository, path), "utf8");
  const found = text.matchAll(/(?:from|import|import\()\s*["'](\.{1,2}\/[^"']+)["']/g);
  return [...found].map((match) => normalize(join(dirname(path), match[1] ?? "")));
}

describe("imports", () => {
  it("point down only: shim → runtime → oci, config, native/addon", () => {
    const wrong: string[] = [];
    for (const path of [
      "shim",
      "runtime",
      "oci",
      "config",
      "native/addon",
      "scripts",
      "bench",
      "test/harness",
    ].flatMap(sources)) {
      const part = partOf(path);
      if (part === undefined) continue;
      for (const target of relativeImports(path)) {
        const other = partOf(target) ?? "elsewhere";
        if (other !== part && !allowed[part]?.includes(other)) wrong.push(`${path} imports ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("name Node's own modules with node:", () => {
    const wrong: string[] = [];
    const bare =
      /(?:from|import)\s*["'](assert|child_process|crypto|events|fs|net|os|path|stream|url|util)(?:\/\w+)?["']/;
    for (const path of ["shim", "runtime", "oci", "config", "native/addon", "scripts", "test"].flatMap(
      sources,
    )) {
      const match = bare.exec(readFileSync(join(repository, path), "utf8"));
      if (match !== null) wrong.push(`${path}: ${match[0]}`);
    }
    assert.deepEqual(wrong, []);
  });
});
