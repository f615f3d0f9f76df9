import type { Case, Client } from "./case.js";
import { common, means } from "./means.js";

/** `go` meanwhile, and kills what has started runc to make the container: quicker than a shell could. */
const whileMaking = `node -e '
  const { readdirSync, readFileSync } = require("fs");
  const words = (pid, file) => { try { return readFileSync("/proc/" + pid + "/" + file, "utf8"); } catch { return ""; } };
  for (const limit = Date.now() + 20000; Date.now() < limit; ) {
    for (const pid of readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
      const [program, ...rest] = words(pid, "cmdline").split("\\0");
      if (!program.endsWith("runc") || !rest.some((word) => word === "create" || word === "run") || !rest.some((word) => word.includes(process.argv[1]))) continue;
      const parent = Number(words(pid, "stat").replace(/.*[)] . /s, "").split(" ")[0]);
      if (parent > 1) { process.kill(parent, "SIGKILL"); process.exit(0); }
    }
  }
  console.log("not seen")' $i & sleep 1; go 2>/dev/null || echo refused; wait`;

const whileMakingTitle = "while it makes a container";

const clean = "nothing is left\nagain\n";
const told = `gone\nreported\n${clean}`;

/** What Tine prints at each stage; runc may leave control groups of what it was killed under. */
type Stage = readonly [title: string, tine: string, script: string, clients?: readonly Client[]];

const stages: readonly Stage[] = [
  [
    whileMakingTitle,
    `refused\n${clean}`,
    `make sleep 1000; i=$(ident); o=$(other); ${whileMaking}; remove 2>/dev/null; nothing_left $i; again`,
  ],
  [
    "when a container is made and not started",
    `gone\n${clean}`,
    `make sleep 1000; i=$(ident); o=$(other); killed $o; gone $o; remove 2>/dev/null; nothing_left $i; again`,
  ],
  ["of a running container", told, `begin sleep 1000; p=$(pid); killed $p; all_well`],
  [
    "of a container of many processes",
    told,
    `begin sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait'; sleep 0.5; p=$(pid); killed $p; all_well`,
  ],
  [
    "under a program started in a container",
    `failed\n${told}`,
    `begin sleep 1000; p=$(pid); (result inside sleep 1000) & sleep 1.5; killed $p; wait; all_well`,
  ],
  [
    "of a paused container",
    told,
    `begin sleep 1000; p=$(pid); suspend; killed $p; all_well`,
    ["docker", "ctr"],
  ],
  [
    "while a container is being stopped",
    told,
    `begin sh -c 'trap "" TERM; while :; do sleep 0.1; done'; p=$(pid); s=$(shim $p); (result end >$D/end) & sleep 1; kill -9 $s; wait; all_well`,
    ["docker", "crictl"],
  ],
  [
    "while a container is being removed",
    clean,
    `begin sleep 1000; p=$(pid); i=$(ident); s=$(shim $p); remove 2>/dev/null & while [ -e /proc/$p ]; do :; done; kill -9 $s; wait; remove 2>/dev/null; nothing_left $i; again`,
  ],
];

/** The shim killed at each stage of a container's life: its containers end, the end is reported, and nothing hangs. */
export const shimKilled: readonly Case[] = stages.flatMap(
  ([title, tine, script, clients = ["docker", "ctr", "crictl"]]) =>
    clients.map((client) => ({
      title,
      clients: [client],
      limit: 120_000,
      ...((title === whileMakingTitle || client === "crictl") && {
        differs: { why: "runc may leave a control group behind, Tine leaves nothing", tine },
      }),
      script: `${means[client] ?? ""}\n${common}\n${script}`,
    })),
);
