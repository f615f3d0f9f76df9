// The build proper: `npm run build [-- PART…]` runs it under the build lock.
import { BootstrapError, fail } from "../lib/progress.mjs";
import { buildNative } from "./native.mjs";
import { nativeParts } from "./graph.mjs";
import { buildTypeScript } from "./typescript.mjs";
import { buildLaunchers } from "./launchers.mjs";

const running = ["vmm", "addon", "launcher"];

async function main(names) {
  for (const name of names) {
    if (name !== "js" && name !== "all" && !Object.hasOwn(nativeParts, name)) {
      throw new BootstrapError(
        `unknown part ${name}`,
        `one of: all, js, ${Object.keys(nativeParts).join(", ")}`,
      );
    }
  }
  const all = names.includes("all");
  const native = all
    ? Object.keys(nativeParts)
    : names.length === 0
      ? running
      : names.filter((name) => name !== "js");
  const script = all || names.length === 0 || names.includes("js");
  if (native.length > 0) await buildNative(native);
  if (script) {
    buildLaunchers();
    await buildTypeScript();
  }
}

main(process.argv.slice(2)).catch(fail);
