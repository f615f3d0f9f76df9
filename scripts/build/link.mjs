import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { repository } from "../lib/paths.mjs";
import { BootstrapError } from "../lib/progress.mjs";
import { compileAhead } from "./compile-ahead.mjs";

const output = join(repository, "build/js");

/** The programs that Node runs again and again, and the module each one starts with. */
const programs = { daemon: "shim/daemon.js", delete: "shim/delete.js", tine: "runtime/cli/main.js" };

/**
 * Links each program with every module it imports into one file, and has V8 compile that ahead: of the quarter
 * of a second that the daemon's modules take to be found, read and compiled one by one, a third remains.
 *
 * build/js/linked then holds, for each, NAME.cjs (what Node runs), NAME.code (the modules) and NAME.cache (V8's
 * own form of them: another version of Node takes no notice of it).
 */
export async function linkPrograms() {
  const { default: typescript } = await import("typescript");
  const folder = join(output, "linked");
  mkdirSync(folder, { recursive: true });
  const module = remembering((path) => convert(path, typescript));
  for (const [name, entry] of Object.entries(programs)) {
    const place = join(folder, name);
    // V8 knows code by its length: what was made of another text must never lie beside it.
    rmSync(`${place}.cache`, { force: true });
    replace(`${place}.code`, linked(join(output, entry), module));
    replace(`${place}.cjs`, starter(name, moduleName(join(output, entry))));
    const problem = compileAhead(process.execPath, place);
    if (problem !== undefined)
      throw new BootstrapError(`V8 does not compile build/js/linked/${name}.code:\n${problem}`);
  }
}

/** An expression whose value is a function that runs the module of a given name. */
function linked(entry, module) {
  const modules = new Map();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue;
    const { text, imports } = module(path);
    // A program's first module may wait for something at its top level.
    const kind = path === entry ? "async function" : "function";
    // The parentheses have V8 compile it at once, and so into the cache.
    modules.set(path, `${JSON.stringify(moduleName(path))}: (${kind} (module, exports) {\n${text}\n}),`);
    waiting.push(...imports);
  }
  return [
    "(function (require, base) {",
    "const loaded = Object.create(null);",
    "const moduleUrl = (name) => new URL(`../${name}`, base).href;",
    "const load = (name) => {",
    "  let module = loaded[name];",
    "  if (module === undefined) {",
    "    module = loaded[name] = { exports: {} };",
    "    module.outcome = modules[name](module, module.exports);",
    "  }",
    "  return module;",
    "};",
    "const linked = (name) => load(name).exports;",
    "const modules = {",
    ...modules.values(),
    "};",
    "return load;",
    "})",
    "",
  ].join("\n");
}

/** The body of a function that does what a module does, and the files the module imports. */
function convert(path, typescript) {
  const source = readFileSync(path, "utf8");
  const { importedFiles } = typescript.preProcessFile(source, true, true);
  const resolve = createRequire(path).resolve;
  const targets = new Map();
  for (const { fileName } of importedFiles) {
    // The addon is a shared library: it stays where it is.
    if (!isBuiltin(fileName) && !fileName.endsWith(".node")) targets.set(fileName, resolve(fileName));
  }
  const { outputText, diagnostics } = typescript.transpileModule(source, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      module: typescript.ModuleKind.CommonJS,
      target: typescript.ScriptTarget.ES2022,
      esModuleInterop: true,
      allowJs: true,
      removeComments: true,
    },
  });
  if (diagnostics.length > 0) throw new BootstrapError(`${path} cannot be linked`);
  const name = moduleName(path);
  const text = outputText
    .replace(/^\/\/# sourceMappingURL=.*$/m, "")
    .replace(/\bimport\.meta\.url\b/g, () => `moduleUrl(${JSON.stringify(name)})`)
    .replace(/\brequire\((["'])([^"'\n]+)\1\)/g, (call, _quote, specifier) => {
      const target = targets.get(specifier);
      return target === undefined ? call : `linked(${JSON.stringify(moduleName(target))})`;
    });
  return { text: text.trimEnd(), imports: [...targets.values()] };
}

function remembering(make) {
  const known = new Map();
  return (key) => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key);
  };
}

/** Where the compiled module lies, seen from build/js. */
function moduleName(path) {
  return relative(output, path);
}

function starter(name, entry) {
  return `"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

const filename = join(__dirname, ${JSON.stringify(`${name}.code`)});
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, ${JSON.stringify(`${name}.cache`)}));
} catch {
  // It only takes longer.
}
const script = new Script(readFileSync(filename, "utf8"), { filename, cachedData });
const load = script.runInThisContext()(require, pathToFileURL(filename).href);
load(${JSON.stringify(entry)}).outcome.catch((error) => {
  // As Node does with what a program's first module throws.
  setImmediate(() => {
    throw error;
  });
});
`;
}

/** A program that runs meanwhile sees the one or the other file, whole. */
function replace(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
