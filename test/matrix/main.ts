/**
 * `npm run test:matrix [-- CLIENT,… [PATTERN]]`: what people do with docker, nerdctl, crictl and kubectl, under
 * runc and under Tine, compared; and the installation of the Debian package on a clean system (`debian-package`). The
 * results are kept in results.json; with a PATTERN, both sides are printed too. Exit status 1 when something differs
 * without a known reason.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { CommandResult } from "../harness/command.js";
import type { Case } from "./cases/case.js";
import { sections } from "./cases/index.js";
import { startClients, type ClientSides } from "./clients.js";
import { installationResults, newDocker, oldDocker } from "./installation.js";
import { crowdResults } from "./crowd.js";
import { liveRestoreResults } from "./live-restore.js";
import { keepResults, type CaseResult } from "./results.js";
import { stressResults } from "./stress.js";
import { upgradeResults } from "./upgrade.js";
import { runCase, type Side } from "./side.js";

const [names, pattern] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), "tine-m-"));
const results: CaseResult[] = [];
const clients = await startClients(names?.split(",") ?? []);
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const) {
  process.once(signal, () => {
    console.log(`${signal}: stopping what was started`);
    void clients.stop().finally(() => process.exit(128 + number));
  });
}
try {
  for (const client of clients.sides) {
    const first = results.length;
    for (const [section, testCase] of casesFor(client)) {
      const lack = testCase.lacks?.[client.runc.client];
      if (lack !== undefined) {
        const { title } = testCase;
        results.push({ client: client.name, section, title, outcome: "not-offered", reason: lack });
        continue;
      }
      const runc = await timed(testCase, client.runc);
      const tine = await timed(testCase, client.tine);
      const same = isDeepStrictEqual(tine.result, runc.result);
      const { title, differs } = testCase;
      const { status, stdout } = tine.result;
      const known = differs !== undefined && status === 0 && stdout === differs.tine;
      const outcome = same ? "same" : known ? "known" : "different";
      results.push({
        client: client.name,
        section,
        title,
        outcome,
        ...(outcome === "known" && { reason: differs?.why ?? "" }),
      });
      console.log(`${outcome}: ${client.name}: ${title} (${runc.milliseconds} and ${tine.milliseconds} ms)`);
      if (outcome === "different" || pattern !== undefined) {
        console.log(JSON.stringify({ runc: runc.result, tine: tine.result }, undefined, 1));
      }
    }
    await keep(client.name, clients.versions[client.name] ?? "", results.slice(first));
  }
} finally {
  await clients.stop();
  await rm(folder, { recursive: true, force: true });
}
/** Columns that are more than cases of a client: each a program of its own. */
const runs: Readonly<Record<string, { about: string; results: () => Promise<readonly CaseResult[]> }>> = {
  "debian-package": {
    about:
      "the package of `npm run package` on a minimal Debian 12, with its containerd 1.6 and docker 20.10",
    results: () => installationResults(oldDocker),
  },
  "debian-package-trixie": {
    about: "the same package on a minimal Debian 13, with its containerd 1.7 and docker 26",
    results: () => installationResults(newDocker),
  },
  upgrade: {
    about: "containerd 1.6, 1.7, 2.1 and 2.4 one after the other, as above",
    results: upgradeResults,
  },
  "live-restore": { about: "docker 28 with live-restore, on containerd 1.6", results: liveRestoreResults },
  crowd: { about: "ctr, eight at once, on containerd 1.6", results: crowdResults },
  "containerd-stress": { about: "containerd-stress 2.4 on containerd 2.4", results: stressResults },
};
for (const [name, { about, results: run }] of Object.entries(runs)) {
  if (pattern !== undefined || (names !== undefined && !names.split(",").includes(name))) continue;
  const found = await run();
  results.push(...found);
  await keep(name, about, found);
}
const different = results.filter(({ outcome }) => outcome === "different").length;
console.log(`${results.length} cases, ${different} different`);
process.exitCode = different === 0 ? 0 : 1;

/** One client's, as soon as they are there. */
async function keep(name: string, version: string, cases: readonly CaseResult[]): Promise<void> {
  if (cases.length > 0) await keepResults({ clients: { [name]: version }, cases }, pattern === undefined);
}

function casesFor({ runc }: ClientSides): [section: string, testCase: Case][] {
  return Object.entries(sections).flatMap(([section, cases]) =>
    cases
      .filter(({ title }) => pattern === undefined || new RegExp(pattern).test(title))
      .filter(({ clients: offered = ["docker", "nerdctl"] }) => offered.includes(runc.client))
      .map((testCase): [string, Case] => [section, testCase]),
  );
}

async function timed(testCase: Case, side: Side): Promise<{ result: CommandResult; milliseconds: number }> {
  const began = Date.now();
  const result = await runCase(testCase, side, folder).catch((error: unknown) => ({
    status: -1,
    stdout: "",
    stderr: String(error),
  }));
  return { result, milliseconds: Date.now() - began };
}
