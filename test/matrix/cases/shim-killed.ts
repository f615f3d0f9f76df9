import type { Case, Client } from "./case.js";

/**
 * How to do it with each client: `begin COMMAND…` a container that runs, `make COMMAND…` and `go` the same in two steps,
 * `pid`, `ident` (what its control group and mounts are called after), `over` whether its end is reported, `inside`,
 * `suspend`, `end`, `remove`, `again` another container, `other` one more for as long.
 */
const means: Readonly<Partial<Record<Client, string>>> = {
  docker: `
    begin() { up --name $N $BB "$@"; }
    make() { c create --runtime $R --name $N $BB "$@" >/dev/null; }
    go() { timeout 30 c start $N >/dev/null; }
    pid() { c inspect -f '{{.State.Pid}}' $N; }
    ident() { c inspect -f '{{.Id}}' $N; }
    over() { [ "$(c inspect -f '{{.State.Running}} {{.State.ExitCode}}' $N)" = "false 137" ]; }
    inside() { timeout 30 c exec $N "$@"; }
    suspend() { c pause $N >/dev/null; }
    end() { timeout 30 c stop -t 5 $N >/dev/null; }
    remove() { timeout 30 c rm -f \${1:-$N} >/dev/null; }
    again() { timeout 30 c run --rm --runtime $R $BB echo again; }
    other() { up --name other-$N $BB sleep 1000; c inspect -f '{{.State.Pid}}' other-$N; }`,
  ctr: `
    begin() { up $BB $N "$@"; }
    make() { c container create --runtime $R $BB $N "$@"; }
    go() { timeout 30 c task start --detach $N; }
    pid() { c task list | awk -v name=\${1:-$N} '$1 == name { print $2 }'; }
    ident() { echo $N; }
    over() { ! c task list | grep -q "^$N .*\\(RUNNING\\|PAUSED\\|UNKNOWN\\)"; }
    inside() { timeout 30 c task exec --exec-id inside $N "$@"; }
    suspend() { c task pause $N; }
    end() { timeout 30 c task delete --force $N; }
    remove() { c task list --quiet | grep -qx \${1:-$N} && timeout 30 c task delete --force \${1:-$N}; c container delete \${1:-$N}; }
    again() { timeout 30 c run --rm --runtime $R $BB $N-again echo again; }
    other() { up $BB other-$N sleep 1000; pid other-$N; }`,
  crictl: `
    begin() { pod; container one '{}' "$@"; }
    make() { pod; merge '{"metadata":{"name":"one"},"image":{"image":"'$BB'"},"log_path":"one.log"}' "$(node -p 'JSON.stringify({ command: process.argv.slice(1) })' -- "$@")" > $D/one.json; c create $(id pod) $D/one.json $D/pod.json > $D/one.id; }
    go() { timeout 30 c start $(id one) >/dev/null; }
    pid() { c inspect --output go-template --template '{{.info.pid}}' $(id one); }
    ident() { id one; }
    over() { state one | grep -q EXITED; }
    inside() { timeout 30 c exec -s $(id one) "$@"; }
    end() { timeout 30 c stop -t 5 $(id one) >/dev/null; }
    remove() { timeout 30 c rmp -f $(id pod) >/dev/null; }
    again() { pod '{"metadata":{"name":"again","namespace":"default","uid":"again","attempt":1}}'; container two '{}' echo again; until_ended two; c logs $(id two); }
    other() { c inspectp --output go-template --template '{{.info.pid}}' $(id pod); }`,
};

/**
 * Then: `shim PID` the one that serves a process, `killed PID` kills that, `gone PID` waits for a process's end, `reported`
 * for the client's word of it, `nothing_left ID` looks, and `result COMMAND…` tells whether it went well.
 */
const common = `
  shim() { awk '{ sub(/.*\\) /, ""); print $2 }' /proc/$1/stat; }
  killed() { kill -9 $(shim $1); }
  gone() { until_ok sh -c "! test -e /proc/$1" && echo gone; }
  reported() { export -f over; until_ok bash -c over && echo reported; }
  nothing_left() {
    export ID=$1
    until_ok sh -c '! grep -qs "/$ID" /proc/[0-9]*/cgroup && ! grep -q "/$ID" /proc/self/mounts && ! find /run/tine /sys/fs/cgroup -name "*$ID*" 2>/dev/null | grep -q .' && echo nothing is left || { grep -ls "/$ID" /proc/[0-9]*/cgroup; grep "/$ID" /proc/self/mounts; find /run/tine /sys/fs/cgroup -name "*$ID*"; }
  }
  result() { "$@" >/dev/null 2>&1 && echo well || echo failed; }
  all_well() { gone $p; reported; i=$(ident); remove 2>/dev/null; nothing_left $i; again; }
`;

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

const stages: readonly (readonly [title: string, script: string, clients?: readonly Client[]])[] = [
  [
    whileMakingTitle,
    `make sleep 1000; i=$(ident); o=$(other); ${whileMaking}; remove 2>/dev/null; nothing_left $i; again`,
  ],
  [
    "when a container is made and not started",
    `make sleep 1000; i=$(ident); o=$(other); killed $o; gone $o; remove 2>/dev/null; nothing_left $i; again`,
  ],
  ["of a running container", `begin sleep 1000; p=$(pid); killed $p; all_well`],
  [
    "of a container of many processes",
    `begin sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait'; sleep 0.5; p=$(pid); killed $p; all_well`,
  ],
  [
    "under a program started in a container",
    `begin sleep 1000; p=$(pid); (result inside sleep 1000) & sleep 1.5; killed $p; wait; all_well`,
  ],
  ["of a paused container", `begin sleep 1000; p=$(pid); suspend; killed $p; all_well`, ["docker", "ctr"]],
  [
    "while a container is being stopped",
    `begin sh -c 'trap "" TERM; while :; do sleep 0.1; done'; p=$(pid); s=$(shim $p); (result end >$D/end) & sleep 1; kill -9 $s; wait; all_well`,
    ["docker", "crictl"],
  ],
  [
    "while a container is being removed",
    `begin sleep 1000; p=$(pid); i=$(ident); s=$(shim $p); remove 2>/dev/null & while [ -e /proc/$p ]; do :; done; kill -9 $s; wait; remove 2>/dev/null; nothing_left $i; again`,
  ],
];

/** The shim killed at each stage of a container's life: its containers end, the end is reported, and nothing hangs. */
export const shimKilled: readonly Case[] = stages.flatMap(
  ([title, script, clients = ["docker", "ctr", "crictl"]]) =>
    clients.map((client) => ({
      title,
      clients: [client],
      limit: 120_000,
      ...(title === whileMakingTitle && {
        differs: "runc may leave a control group behind, Tine leaves nothing",
      }),
      script: `${means[client] ?? ""}\n${common}\n${script}`,
    })),
);
