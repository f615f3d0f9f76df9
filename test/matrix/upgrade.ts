import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { cache } from "../harness/paths.js";
import type { CaseResult } from "./results.js";

const client = "upgrade";

/** The versions in their order; the first is the machine's own. */
const versions = [undefined, "containerd-1.7", "containerd-2.1", "containerd-2.4"] as const;

/** What somebody sees of two containers while containerd becomes newer below them, step by step. */
async function lifeAcrossVersions(runtime: string): Promise<Map<string, unknown>> {
  const seen = new Map<string, unknown>();
  const folders = versions.map((name) =>
    name === undefined ? undefined : join(cache, "clients", name, "usr/bin"),
  );
  await using containerd = await PrivateContainerd.start();
  const ctr = new Ctr(containerd, "upgraded", runtime);
  const image = await busyboxImage();
  await ctr.import(image);
  const detach = ["--detach"];
  // One lives through it all; the others end while there is no containerd, with a status each.
  const long = ctr.runArguments(image, ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"], {
    id: "long",
    flags: detach,
  });
  await ctr.check(long);
  const running = async (id: string): Promise<string> =>
    (await ctr.check(["task", "list"])).stdout
      .split("\n")
      .map((line) => line.split(/\s+/))
      .find(([name]) => name === id)?.[2] ?? "none";
  const exec = (id: string, name: string, script: string): Promise<unknown> =>
    ctr.capture(["task", "exec", "--exec-id", name, id, "sh", "-c", script]);
  for (const index of folders.keys()) {
    const name = versions[index + 1];
    if (name === undefined) break;
    const id = `ends-under-none-${index}`;
    const script = `until [ -e /tmp/end ]; do sleep 0.1; done; exit ${index + 20}`;
    await ctr.check(ctr.runArguments(image, ["sh", "-c", script], { id, flags: detach }));
    seen.set(
      `${name}: exec before it, by ${versions[index] ?? "containerd-1.6"}`,
      await exec(id, "b", "echo up; exit 3"),
    );
    await exec(id, "end", "(sleep 1; echo >/tmp/end) >/dev/null 2>&1 &");
    await containerd.kill("SIGTERM");
    await sleep(2000);
    await containerd.launch(folders[index + 1]);
    seen.set(`${name}: the container runs on`, await running("long"));
    seen.set(
      `${name}: exec in it`,
      await exec("long", `e${index}`, "echo still here; echo errors >&2; exit 7"),
    );
    seen.set(`${name}: pause and resume`, [
      await ctr.capture(["task", "pause", "long"]),
      await running("long"),
      await ctr.capture(["task", "resume", "long"]),
      await running("long"),
    ]);
    seen.set(`${name}: one that ended meanwhile is gone, as containerd has it`, [
      await running(id),
      (await ctr.capture(["task", "delete", id])).status,
      (await ctr.capture(["container", "delete", id])).status,
    ]);
    seen.set(`${name}: a new container`, await ctr.run(image, ["sh", "-c", "echo new; exit 4"]));
  }
  const last = versions.at(-1) ?? "";
  await ctr.check(["task", "kill", "long"]);
  for (let tries = 0; tries < 100 && (await running("long")) !== "STOPPED"; tries += 1) await sleep(50);
  seen.set(`${last}: the end of one that ran through all versions`, [
    await running("long"),
    (await ctr.capture(["task", "delete", "long"])).status,
    (await ctr.capture(["container", "delete", "long"])).status,
    (await ctr.check(["task", "list", "--quiet"])).stdout,
  ]);
  return seen;
}

/** containerd made newer under running containers, 1.6 → 1.7 → 2.1 → 2.4, with runc and with Tine. */
export async function upgradeResults(): Promise<CaseResult[]> {
  const [plain, own] = [await lifeAcrossVersions(runc), await lifeAcrossVersions(tine)];
  return [...plain].map(([title, expected]): CaseResult => {
    const found = own.get(title);
    // ctr's warnings have the time of day in them.
    const timeless = (result: unknown): string =>
      JSON.stringify(result).replaceAll(/time=\\"[^"]*\\"/g, "TIME");
    const outcome = found !== undefined && timeless(found) === timeless(expected) ? "same" : "different";
    console.log(`${outcome}: ${client}: ${title}`);
    if (outcome === "different") console.log(JSON.stringify({ runc: expected, tine: found }, undefined, 1));
    return { client, section: "containerd becomes newer under running containers", title, outcome };
  });
}
