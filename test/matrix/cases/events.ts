import type { Case, Client } from "./case.js";
import { common, means } from "./means.js";

/** What each client says when the container has ended with 9, as a pattern for grep. */
const ended: Readonly<Partial<Record<Client, string>>> = {
  docker: "^false 9 0",
  nerdctl: "^exited 9",
  ctr: "^STOPPED\\|^none",
  crictl: "^CONTAINER_EXITED",
};

/** `started` a container that ends with 9 when `asked`; `found` waits for the client's word of its end. */
const ends = (client: Client): string => `
  CLIENT=${client}
  started() { begin sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'; sleep 0.5; p=$(pid); i=$(ident); }
  back() { trouble back; until_ok sh -c 'c version >/dev/null 2>&1'; }
  asked() { kill -TERM $p; }
  export -f ending
  found() { until_ok bash -c 'ending | grep -q "${ended[client] ?? ""}"'; ending; }
  cleaned() { result remove; nothing_left $i; again; }
  told() { c events --since "$1" --until "$(date +%s.%N)" --filter event=die --filter container=$N --format '{{.Action}} {{.Actor.Attributes.exitCode}}'; }
`;

/** dockerd, when it has heard of an end and its containerd is killed before the task is deleted, does so at a new start. */
const dockerKeepsIt =
  "[ $CLIENT != docker ] || { export -f go; until_ok bash -c 'go 2>/dev/null' && echo started; }";

/** Where a client with runc is told too often, what it prints with Tine, which tells no end again to who acted on it. */
type Stage = readonly [title: string, script: string, clients?: readonly Client[], tine?: string];

const stages: readonly Stage[] = [
  [
    "containerd is away while a container ends",
    `started; trouble down; asked; gone $p; sleep 1; back; found; cleaned`,
  ],
  [
    "containerd is away while it runs",
    `started; trouble down; sleep 1; back; export -f inside; until_ok bash -c 'inside true >/dev/null 2>&1'; asked; gone $p; found; cleaned`,
  ],
  [
    "containerd is killed as it hears of a container's end",
    `trouble watch; started; trouble fatal; asked; gone $p; back; found; ${dockerKeepsIt}; cleaned`,
  ],
  [
    "containerd hears of an end later, and not at the first time",
    `trouble watch; started; trouble lost; asked; gone $p; sleep 2; trouble none; found; cleaned`,
  ],
  [
    "containerd hears of an end again and again",
    `trouble watch; started; trouble repeated; asked; gone $p; sleep 5; trouble none; found; cleaned`,
  ],
  [
    "containerd never hears of an end",
    `trouble watch; started; trouble lost; asked; gone $p; sleep 18; trouble none; ending; cleaned`,
  ],
  [
    "an end that is told again and again is one",
    `trouble watch; since=$(date +%s.%N); started; trouble repeated; asked; gone $p; sleep 5; trouble none; found; told $since`,
    ["docker"],
    "gone\nfalse 9 0\ndie 9\n",
  ],
  [
    "an end that is told again and again is a reason for one start",
    `trouble watch; up --restart on-failure:3 --name $N $BB sh -c 'trap "exit 9" TERM; [ -e /once ] && exec sleep 1000; touch /once; while :; do sleep 0.1; done'; sleep 0.5; p=$(pid); trouble repeated; asked; gone $p; sleep 5; trouble none; until_ok sh -c 'c inspect -f "{{.State.Running}}" $N | grep -q true'; ending; remove`,
    ["docker"],
    "gone\ntrue 0 1\n",
  ],
];

/** containerd does not hear of a container's end, or more than once, or is not there: no client waits for ever. */
export const events: readonly Case[] = stages.flatMap(
  ([title, script, clients = ["docker", "nerdctl", "ctr", "crictl"], tine]) =>
    clients.map((client) => ({
      title,
      clients: [client],
      limit: 120_000,
      ...(tine !== undefined && { differs: { why: "docker takes each telling for another end", tine } }),
      script: `${means[client] ?? ""}\n${common}\n${ends(client)}\n${script}`,
    })),
);
