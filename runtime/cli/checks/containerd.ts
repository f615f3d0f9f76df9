import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { programs } from "../installation.js";
import { ok, warning, type Finding } from "./finding.js";
import { findProgram, outputOf, versionIn } from "./programs.js";

const shim = "containerd-shim-tine-v2";

/** Which containerd there is, and whether it would find the shim. */
export async function checkContainerd(): Promise<Finding[]> {
  const program = findProgram("containerd");
  if (program === undefined) {
    return [
      warning(
        "containerd",
        "containerd is not found",
        "apt-get install containerd (tine do works without it)",
      ),
    ];
  }
  const { stdout } = await outputOf(program, ["--version"]);
  const version = versionIn(stdout.replace(/^\S+ \S+ /, ""));
  return [ok("containerd", `${program} is ${version ?? stdout.trim()}`), ...checkShim()];
}

/** Every running containerd is asked; without one, this process's PATH stands for its. */
function checkShim(): Finding[] {
  const running = runningContainerds();
  if (running.length === 0) {
    const found = findProgram(shim);
    if (found !== undefined)
      return [ok("shim", `no containerd runs; one started from here would find ${found}`)];
    return [
      warning(
        "shim",
        `no containerd runs; one started from here would not find ${shim}`,
        `start it with PATH=${programs}:$PATH`,
      ),
    ];
  }
  return running.map(({ pid, path }) => {
    const found = findProgram(shim, path);
    if (found !== undefined) return ok("shim", `containerd ${pid} finds ${found}`);
    return warning(
      "shim",
      `containerd ${pid} does not find ${shim}`,
      `ln -s ${programs}/${shim} /usr/local/bin/`,
    );
  });
}

/** Each containerd that runs, and the folders it looks in: its PATH and its own. */
function runningContainerds(): { pid: number; path: string }[] {
  const found: { pid: number; path: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/comm`, "utf8") !== "containerd\n") continue;
      const environment = readFileSync(`/proc/${name}/environ`, "utf8").split("\0");
      const path = environment.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? "";
      found.push({ pid: Number(name), path: `${path}:${dirname(readlinkSync(`/proc/${name}/exe`))}` });
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
  return found;
}
