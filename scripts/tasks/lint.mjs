// `npm run lint`: eslint, prettier, and what this project asks of every file. Errors of all three are shown.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { runToEnd } from "../lib/progress.mjs";

/** What no file may hold, and why. The patterns are put together so that this file does not hold them. */
const forbidden = [
  {
    pattern: new RegExp(["TO" + "DO", "FIX" + "ME", "X" + "XX"].map((word) => `\\b${word}\\b`).join("|")),
    why: "unfinished",
  },
  {
    pattern: new RegExp("eslint-" + "disable|@ts-" + "(?:ignore|nocheck|expect-error)|prettier-" + "ignore"),
    why: "silences a check",
  },
  {
    pattern: new RegExp("\\.(?:on" + "ly|sk" + "ip)\\(|this\\.re" + "tries\\("),
    why: "hides or repeats a test",
    only: /^test\//,
  },
  {
    pattern: new RegExp(
      "(?:registry|proxy|deb|archive|mirror)\\.(?:npmjs|yarnpkg|golang|debian|ubuntu)\\.(?:org|com)",
    ),
    why: "names a registry's host",
  },
  {
    pattern: new RegExp("\\b(?:docker|ghcr|quay|gcr)\\.io/|mcr\\.microsoft\\.com"),
    why: "names a registry's host",
  },
  {
    pattern: new RegExp("/(?:work|farm)/(?:main|shared)|/home/\\w+/"),
    why: "names a place on somebody's machine",
  },
];

/** A source file longer than this is asking to be two. */
const longest = 450;

function tracked() {
  const { stdout, status } = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { encoding: "utf8" },
  );
  if (status !== 0) return undefined;
  return stdout.split("\0").filter((path) => path !== "" && existsSync(path));
}

function textProblems(files) {
  const problems = [];
  for (const path of files) {
    const content = readFileSync(path);
    if (content.includes(0)) continue;
    const lines = content.toString("utf8").split("\n");
    // Written by npm and by protoc-gen-es.
    if (path === "package-lock.json" || path.startsWith("shim/proto/gen/")) continue;
    const isSource = /\.(?:ts|mjs|cjs|cc|h|S|c)$/.test(path);
    if (isSource && lines.length > longest)
      problems.push(`${path}: ${lines.length} lines: it is asking to be two`);
    for (const [index, line] of lines.entries()) {
      for (const { pattern, why, only } of forbidden) {
        if ((only === undefined || only.test(path)) && pattern.test(line))
          problems.push(`${path}:${index + 1}: ${why}: ${line.trim()}`);
      }
    }
  }
  return problems;
}

/** Folders with sources that lack the README.md that says what lives there. */
function folderProblems(files) {
  const parts = new Set([
    "shim",
    "runtime",
    "oci",
    "config",
    "native/addon",
    "native/vmm",
    "test",
    "bench",
    "scripts",
  ]);
  for (const path of files) {
    const match = /^(native\/vmm|shim|runtime)\/[^/]+(?=\/)/.exec(path);
    if (match !== null) parts.add(match[0]);
  }
  const known = new Set(files);
  return [...parts]
    .filter((folder) => files.some((path) => dirname(path) === folder || path.startsWith(`${folder}/`)))
    .filter((folder) => !known.has(`${folder}/README.md`))
    .map((folder) => `${folder}/: no README.md that says what lives there`);
}

const files = tracked();
if (files === undefined) process.stderr.write("lint: no git checkout here: texts are not looked through\n");
const problems = files === undefined ? [] : [...textProblems(files), ...folderProblems(files)];
for (const problem of problems) process.stderr.write(`${problem}\n`);
const node = process.execPath;
const eslint = await runToEnd(node, ["node_modules/eslint/bin/eslint.js", "--max-warnings", "0", "."]);
const prettier = await runToEnd(node, [
  "node_modules/prettier/bin/prettier.cjs",
  "--log-level",
  "warn",
  "--check",
  ".",
]);
process.exitCode = problems.length === 0 && eslint === 0 && prettier === 0 ? 0 : 1;
