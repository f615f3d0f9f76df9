import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { capture } from "../harness/command.js";
import { repository } from "../harness/paths.js";

/** What came out of one case with one client. */
export interface CaseResult {
  readonly client: string;
  readonly section: string;
  readonly title: string;
  /**
   * `same`: as under runc in the same run. `known`: otherwise, for the reason given. `not-offered`: the client has no
   * such thing, whatever the runtime.
   */
  readonly outcome: "same" | "known" | "different" | "not-offered";
  readonly reason?: string;
  /** The commit that it ran with; absent where there is no git. */
  readonly code?: string;
}

/** What is checked out when the run begins. */
const code = await commit();

/** What `npm run test:matrix` found when it last ran. */
export interface Results {
  /** Each client's name and what it was, with the containerd and runc below it. */
  readonly clients: Readonly<Record<string, string>>;
  readonly cases: readonly CaseResult[];
}

const resultsPath = join(repository, "test/matrix/results.json");
const pagePath = join(repository, "docs/compatibility.md");

/** What the last run kept; nothing before the first. */
export async function readResults(): Promise<Results> {
  try {
    return JSON.parse(await readFile(resultsPath, "utf8")) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { clients: {}, cases: [] };
    throw error;
  }
}

/**
 * Keeps results and writes the page that shows them.
 *
 * @param whole - whether all cases of these clients ran: otherwise only those that did are replaced
 */
export async function keepResults(results: Results, whole: boolean): Promise<void> {
  const before = await readResults();
  const key = ({ client, title }: CaseResult): string => `${client}: ${title}`;
  const run = results.cases.map((result) => (code === undefined ? result : { ...result, code }));
  const news = new Map(run.map((result) => [key(result), result]));
  const kept = before.cases
    .filter(({ client }) => !whole || results.clients[client] === undefined)
    .map((result) => news.get(key(result)) ?? result);
  const there = new Set(kept.map(key));
  const cases = [...kept, ...run.filter((result) => !there.has(key(result)))];
  const all = { clients: { ...before.clients, ...results.clients }, cases };
  await writeFile(resultsPath, `${JSON.stringify(all, undefined, 1)}\n`);
  await writeFile(pagePath, compatibilityPage(all));
}

async function commit(): Promise<string | undefined> {
  const command = ["git", "-C", repository, "describe", "--always", "--dirty", "--exclude=*"];
  const { status, stdout } = await capture(command);
  return status === 0 ? stdout.trim() : undefined;
}

const marks = { same: "yes", known: "differs", different: "**no**", "not-offered": "–" } as const;

const notes = { known: "Known differences", "not-offered": "What a client does not offer" } as const;

/** docs/compatibility.md. */
export function compatibilityPage({ clients, cases }: Results): string {
  const names = Object.keys(clients);
  const lines = [
    "# Which clients work, and with what",
    "",
    "Made by `npm run test:matrix` from test/matrix/results.json; do not edit. Each line is something that somebody does with a",
    "client: the same script ran with runc and with Tine, and *yes* says that output, errors and exit status were the same.",
    "A dash: the client does not offer it (why: at the end). `docker build` uses dockerd's own runtime, not Tine.",
    "The installation has no runc beside it: *yes* says that it was as it should be.",
    "",
    ...names.map((name) => {
      const ran = cases.filter(({ client }) => client === name).map(({ code }) => code);
      const codes = [...new Set(ran.filter((code) => code !== undefined))];
      return `- **${name}**: ${clients[name] ?? ""}${codes.length === 0 ? "" : `; Tine at ${codes.join(", ")}`}`;
    }),
  ];
  const sections = [...new Set(cases.map(({ section }) => section))];
  for (const section of sections) {
    const rows = cases.filter((result) => result.section === section);
    const columns = names.filter((name) => rows.some(({ client }) => client === name));
    lines.push(
      "",
      `## ${section}`,
      "",
      `| | ${columns.join(" | ")} |`,
      `|---|${columns.map(() => "---|").join("")}`,
    );
    for (const title of new Set(rows.map((row) => row.title))) {
      const cells = columns.map((name) => {
        const result = rows.find((row) => row.title === title && row.client === name);
        return result === undefined ? "–" : marks[result.outcome];
      });
      lines.push(`| ${title.replaceAll("|", "\\|")} | ${cells.join(" | ")} |`);
    }
  }
  for (const [outcome, heading] of Object.entries(notes)) {
    const noted = cases.filter((result) => result.outcome === outcome);
    if (noted.length === 0) continue;
    const clientsOf = (title: string): string =>
      noted
        .filter((result) => result.title === title)
        .map(({ client }) => client)
        .join(", ");
    const reasons = new Map(noted.map(({ title, reason }) => [title, reason ?? ""]));
    const items = [...reasons].map(([title, why]) => `- ${title} (${clientsOf(title)}): ${why}`);
    lines.push("", `## ${heading}`, "", ...items);
  }
  return `${lines.join("\n")}\n`;
}
