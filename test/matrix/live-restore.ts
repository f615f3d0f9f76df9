import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { capture, check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { runc, tine } from "../harness/ctr.js";
import { PrivateDocker, unpackedDocker } from "../harness/docker.js";
import { busyboxImage } from "../harness/image.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { cache } from "../harness/paths.js";
import type { CaseResult } from "./results.js";

const client = "live-restore";
const image = "tine.test/busybox:live";

/** How dockerd ends below its containers. */
const ends: readonly NodeJS.Signals[] = ["SIGTERM", "SIGKILL"];

/** What somebody sees of containers that run on while dockerd is away. */
async function lifeWithoutDockerd(runtime: string): Promise<Map<string, unknown>> {
  const seen = new Map<string, unknown>();
  await using network = await NetworkNamespace.create();
  await using containerd = await PrivateContainerd.start({ network });
  const programs = unpackedDocker(join(cache, "clients/docker-28"));
  await using docker = await PrivateDocker.start(containerd, network, programs, { "live-restore": true });
  await docker.import(await busyboxImage(), image);
  const call = async (...args: string[]): Promise<readonly [number, string, string]> => {
    const { status, stdout, stderr } = await capture(docker.command(...args));
    return [status, stdout, stderr];
  };
  const start = async (name: string, script: string, ...flags: string[]): Promise<void> => {
    const run = ["run", "--detach", "--runtime", runtime, "--name", name, ...flags];
    await check(docker.command(...run, image, "sh", "-c", script));
  };
  const state = async (name: string): Promise<string> =>
    (await call("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}", name))[1];
  const until = async (name: string, wanted: string): Promise<string> => {
    for (let tries = 0; tries < 150 && !(await state(name)).startsWith(wanted); tries += 1) await sleep(100);
    return state(name);
  };
  const counting = "trap 'exit 5' TERM; n=0; while :; do n=$((n + 1)); echo $n; sleep 0.2; done";
  await start("long", counting, "--publish", "18099:80");
  await start("server", "while :; do echo served | nc -l -p 80; done", "--publish", "18098:80");
  for (const signal of ends) {
    await start(`ends-${signal}`, "sleep 3; echo last words; exit 21");
    await start(`again-${signal}`, "echo up; sleep 3; exit 3", "--restart", "on-failure:1");
    // What it wrote before dockerd's end is in its log; what a container writes that ends without it, docker forgets.
    const logged = async (): Promise<boolean> => (await call("logs", `again-${signal}`))[1] !== "";
    for (let tries = 0; tries < 50 && !(await logged()); tries += 1) await sleep(20);
    await docker.kill(signal);
    await sleep(4000);
    await docker.launch();
    const about = (what: string): string => `${what}, after dockerd's ${signal}`;
    seen.set(about("a container runs on"), await state("long"));
    seen.set(
      about("exec in it"),
      await call("exec", "long", "sh", "-c", "echo still here; echo errors >&2; exit 7"),
    );
    const lines = (await call("logs", "long"))[1].trim().split("\n").map(Number);
    seen.set(
      about("its log: nothing is missing from it"),
      lines.every((number, index) => number === index + 1),
    );
    const before = lines.length;
    await sleep(1000);
    seen.set(about("its log goes on"), (await call("logs", "long"))[1].split("\n").length - 1 > before);
    seen.set(
      about("its port serves"),
      await capture(network.command("bash", "-c", "timeout 5 cat < /dev/tcp/127.0.0.1/18098")),
    );
    seen.set(about("one that ended meanwhile"), [
      await until(`ends-${signal}`, "exited"),
      await call("logs", `ends-${signal}`),
    ]);
    seen.set(about("one that ended meanwhile and is to be started again"), [
      await until(`again-${signal}`, "exited"),
      (await call("logs", `again-${signal}`))[1],
    ]);
    seen.set(about("pause and unpause"), [
      (await call("pause", "long"))[0],
      await state("long"),
      (await call("unpause", "long"))[0],
      await state("long"),
    ]);
    seen.set(about("top, update"), [
      (await call("top", "long"))[0],
      (await call("update", "--memory", "64m", "--memory-swap", "64m", "long"))[0],
    ]);
    seen.set(
      about("a new container"),
      await call("run", "--rm", "--runtime", runtime, image, "sh", "-c", "echo new; exit 4"),
    );
  }
  seen.set("stop of one that ran through it all", [(await call("stop", "long"))[0], await state("long")]);
  seen.set("it starts again", [
    (await call("start", "long"))[0],
    await state("long"),
    (await call("kill", "long"))[0],
    await until("long", "exited"),
  ]);
  return seen;
}

/** dockerd with `live-restore`, ended and started again under running containers, with runc and with Tine. */
export async function liveRestoreResults(): Promise<CaseResult[]> {
  const [plain, own] = [await lifeWithoutDockerd(runc), await lifeWithoutDockerd(tine)];
  return [...plain].map(([title, expected]): CaseResult => {
    const found = own.get(title);
    const outcome = isDeepStrictEqual(found, expected) ? "same" : "different";
    console.log(`${outcome}: ${client}: ${title}`);
    if (outcome === "different") console.log(JSON.stringify({ runc: expected, tine: found }, undefined, 1));
    return { client, section: "dockerd starts again under running containers", title, outcome };
  });
}
