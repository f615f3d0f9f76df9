import { parseLossless, stringifyLossless } from "../../../oci/lossless.js";
import { messageOf } from "../../errors.js";
import { fieldsOf, type Fields } from "../../jail/fields.js";
import { atLeast, findProgram, outputOf, versionIn } from "../checks/programs.js";
import { readIfThere } from "./read.js";
import { SetupError, type Target } from "./target.js";

const usualFile = "/etc/docker/daemon.json";
const runtime = { runtimeType: "io.containerd.tine.v2" };

/** dockerd's daemon.json: everything else in it stays as it is. */
export const dockerTarget: Target = {
  summary: "a runtime `tine` for docker run --runtime tine",
  async plan(file = usualFile, undo) {
    const before = readIfThere(file);
    if (!undo) await checkVersion();
    const settings = before === undefined ? {} : objectOf(before, file);
    const runtimes = { ...(fieldsOf(settings["runtimes"]) ?? {}) };
    if (undo) delete runtimes["tine"];
    // With options somebody gave it.
    else if (fieldsOf(runtimes["tine"])?.["runtimeType"] !== runtime.runtimeType) runtimes["tine"] = runtime;
    const changed: Fields = { ...settings, runtimes };
    if (Object.keys(runtimes).length === 0) delete changed["runtimes"];
    const shown = `${stringifyLossless({ runtimes: { tine: runtime } }, 2)}\n`;
    if (stringifyLossless(changed) === stringifyLossless(settings)) {
      return {
        files: [],
        shown: undo ? `${file} has nothing of Tine.\n` : `${file} has it already.\n`,
        next: [],
      };
    }
    const after =
      Object.keys(changed).length === 0 ? undefined : `${stringifyLossless(changed, indentOf(before))}\n`;
    const next = ["systemctl reload docker    # or: kill -HUP of dockerd"];
    if (!undo) next.push("docker run --rm --runtime tine IMAGE");
    return { files: [{ path: file, before, after }], shown, next };
  },
};

/** A dockerd that does not know the key would not start any more. */
async function checkVersion(): Promise<void> {
  const program = findProgram("dockerd");
  if (program === undefined) return;
  const version = versionIn((await outputOf(program, ["--version"])).stdout);
  if (version === undefined || atLeast(version, "24.0")) return;
  const way = atLeast(version, "23.0")
    ? "it takes the name as it is: docker run --runtime io.containerd.tine.v2 IMAGE"
    : [
        "it knows runc alone. A containerd of its own can give it Tine under runc's name:",
        "  mkdir /opt/tine-as-runc",
        `  ln -s ${findProgram("containerd-shim-tine-v2") ?? "/usr/bin/containerd-shim-tine-v2"} /opt/tine-as-runc/containerd-shim-runc-v2`,
        "  PATH=/opt/tine-as-runc:$PATH containerd --address SOCKET --root FOLDER --state FOLDER",
        "  dockerd --containerd SOCKET",
      ].join("\n");
  throw new SetupError(
    `${program} is ${version}; daemon.json can name runtimes of containerd from docker 24.0 on, and ${way}`,
  );
}

function objectOf(text: string, file: string): Fields {
  let fields: Fields | undefined;
  try {
    fields = fieldsOf(parseLossless(text));
  } catch (error) {
    throw new SetupError(`${file} cannot be read: ${messageOf(error)}`);
  }
  if (fields === undefined) throw new SetupError(`${file} holds no JSON object`);
  return fields;
}

function indentOf(text: string | undefined): number {
  return /^\{\r?\n( +)"/.exec(text ?? "")?.[1]?.length ?? 2;
}
