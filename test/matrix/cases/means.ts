import type { Client } from "./case.js";

/**
 * How to do it with each client: `begin COMMAND…` a container that runs, `make COMMAND…` and `go` the same in two steps,
 * `pid`, `ident` (what its control group and mounts are called after), `over` whether its end with 137 is reported,
 * `ending` what the client says of its end, `inside`, `suspend`, `end`, `remove`, `again` another container, `other` one
 * more for as long.
 */
export const means: Readonly<Partial<Record<Client, string>>> = {
  docker: `
    begin() { up --name $N $BB "$@"; }
    make() { c create --runtime $R --name $N $BB "$@" >/dev/null; }
    go() { timeout 30 c start $N >/dev/null; }
    pid() { c inspect -f '{{.State.Pid}}' $N; }
    ident() { c inspect -f '{{.Id}}' $N; }
    over() { [ "$(c inspect -f '{{.State.Running}} {{.State.ExitCode}}' $N)" = "false 137" ]; }
    ending() { c inspect -f '{{.State.Running}} {{.State.ExitCode}} {{.RestartCount}}' $N; }
    inside() { timeout 30 c exec $N "$@"; }
    suspend() { c pause $N >/dev/null; }
    end() { timeout 30 c stop -t 5 $N >/dev/null; }
    remove() { timeout 30 c rm -f \${1:-$N} >/dev/null; }
    again() { timeout 30 c run --rm --runtime $R $BB echo again; }
    other() { up --name other-$N $BB sleep 1000; c inspect -f '{{.State.Pid}}' other-$N; }`,
  nerdctl: `
    begin() { up --name $N $BB "$@"; }
    pid() { c inspect -f '{{.State.Pid}}' $N; }
    ident() { c inspect -f '{{.Id}}' $N; }
    over() { [ "$(c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N)" = "exited 137" ]; }
    ending() { c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N; }
    inside() { timeout 30 c exec $N "$@"; }
    remove() { timeout 30 c rm -f \${1:-$N} >/dev/null; }
    again() { timeout 30 c run --rm --runtime $R $BB echo again; }`,
  ctr: `
    begin() { up $BB $N "$@"; }
    make() { c container create --runtime $R $BB $N "$@"; }
    go() { timeout 30 c task start --detach $N; }
    pid() { c task list | awk -v name=\${1:-$N} '$1 == name { print $2 }'; }
    ident() { echo $N; }
    over() { ! c task list | grep -q "^$N .*\\(RUNNING\\|PAUSED\\|UNKNOWN\\)"; }
    ending() { c task list | awk -v name=$N '$1 == name { print $3; found = 1 } END { if (!found) print "none" }'; }
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
    ending() { state one; }
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
export const common = `
  shim() { awk '{ sub(/.*\\) /, ""); print $2 }' /proc/$1/stat; }
  killed() { kill -9 $(shim $1); }
  gone() { until_ok sh -c "! test -e /proc/$1" && echo gone; }
  reported() { export -f over; until_ok bash -c over && echo reported; }
  nothing_left() {
    export ID=$1
    for tries in $(seq 50); do
      found=$(grep -ls "/$ID" /proc/[0-9]*/cgroup; grep "/$ID" /proc/self/mounts; find /run/tine /sys/fs/cgroup -name "*$ID*" 2>/dev/null)
      [ -z "$found" ] && echo nothing is left && return; sleep 0.2
    done; echo "$found"
  }
  result() { "$@" >/dev/null 2>&1 && echo well || echo failed; }
  all_well() { gone $p; reported; i=$(ident); remove 2>/dev/null; nothing_left $i; again; }
`;
