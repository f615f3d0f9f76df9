import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { capture } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { debianImage } from "../harness/image.js";
import { cache } from "../harness/paths.js";
import { Registry } from "../harness/registry.js";
import { nothing, remainsOf } from "../fault/remains.js";
import type { CaseResult } from "./results.js";

const client = "containerd-stress";
const workers = 8;
const seconds = 30;
const programs = join(cache, "clients/containerd-2.4/usr/bin");

/** What a run came to. */
interface Run {
  readonly status: number;
  readonly containers: number;
  readonly failures: number;
  readonly left: boolean;
}

/** containerd's own stress test over a containerd of its own, as it is shipped. */
async function stress(runtime: string, flags: readonly string[]): Promise<Run> {
  await using containerd = await PrivateContainerd.start({ programs, configuration: 3 });
  await using registry = await Registry.serve(await debianImage());
  const { status, stdout, stderr } = await capture(
    [
      join(programs, "containerd-stress"),
      ...["--address", containerd.address, "--runtime", runtime, "--image", registry.reference],
      ...["--concurrent", String(workers), "--duration", `${seconds}s`, ...flags],
    ],
    { limit: (seconds + 120) * 1000 },
  );
  const text = stdout + stderr;
  const [, containers] = /create\/start\/delete (\d+) containers/.exec(text) ?? [];
  // Its own count leaves out those whose error it only logs.
  const failures = text.split("\n").filter((line) => /level=error/.test(line));
  for (const line of failures.slice(0, 5)) console.log(line);
  const ctr = new Ctr(containerd, "stress");
  const there = [
    (await ctr.check(["task", "list", "--quiet"])).stdout,
    (await ctr.check(["container", "list", "--quiet"])).stdout,
    (await ctr.check(["snapshot", "list"])).stdout.split("\n").filter((line) => / Active/.test(line)),
  ];
  // Its containers are called after worker and number: 3-17.
  const remains = await Promise.all(
    Array.from({ length: workers }, (_, worker) => remainsOf(containerd, `${worker}-`, "stress")),
  );
  const left =
    !isDeepStrictEqual(there, ["", "", []]) || remains.some((one) => !isDeepStrictEqual(one, nothing));
  if (left) console.log(JSON.stringify({ there, remains }));
  return { status, containers: Number(containers ?? 0), failures: failures.length, left };
}

/** containerd-stress with eight workers, with runc and with Tine. */
export async function stressResults(): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const flags of [[], ["--exec"]]) {
    const [plain, own] = [await stress(runc, flags), await stress(tine, flags)];
    const about = `${workers} workers for ${seconds} s${flags.length === 0 ? "" : ", and one that starts programs in a container"}`;
    console.log(`${about}: ${JSON.stringify({ runc: plain, tine: own })}`);
    const add = (title: string, good: boolean): void => {
      const outcome = good ? "same" : "different";
      console.log(`${outcome}: ${client}: ${title}`);
      results.push({ client, section: "Many at once", title, outcome });
    };
    add(`${about}: no failure`, own.status === plain.status && own.failures === 0 && own.containers > 0);
    add(`${about}: nothing is left`, !own.left);
  }
  return results;
}
