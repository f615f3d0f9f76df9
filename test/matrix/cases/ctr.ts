import type { Case } from "./case.js";

const state =
  "state() { c task list | awk -v n=$N '$1 == n { print $3 }'; }; ended() { [ \"$(state)\" = STOPPED ]; }; export -f state ended\n";

/** What people do with containerd's own client. */
export const ctr: readonly Case[] = (
  [
    ["output, errors and exit status", `run --rm $BB $N sh -c 'echo out; echo errors >&2; exit 7'; echo $?`],
    [
      "a program that is not there",
      `run --rm $BB $N nothing 2>&1 | grep -c 'nothing'; echo \${PIPESTATUS[0]}`,
    ],
    ["death by a signal", `run --rm $BB $N sh -c 'kill -TERM $$; sleep 9' ; echo $?`],
    ["standard input", `(sleep 2; printf 'one\\ntwo\\n'; sleep 1) | run --rm $BB $N cat; echo $?`],
    ["5 MB in and out", `head -c 5000000 /dev/zero | run --rm $BB $N sh -c 'cat' | wc -c`],
    ["-t: a terminal with its size", `terminal run --rm -t $BB $N sh -c 'sleep 1; stty size; tty'`],
    [
      "detached, to its end",
      `up $BB $N sh -c 'sleep 1; exit 3'; state; until_ok bash -c ended; c task delete $N; echo $?; c container delete $N`,
    ],
    [
      "kill",
      `up $BB $N sleep 1000; c task kill --signal KILL $N; until_ok bash -c ended; c task delete $N; echo $?`,
    ],
    [
      "kill with a signal that is caught",
      `up $BB $N sh -c 'trap "exit 5" TERM; echo >/tmp/ready; while :; do sleep 0.1; done'; until_ok c task exec --exec-id r $N test -e /tmp/ready; c task kill $N; until_ok bash -c ended; c task delete $N; echo $?`,
    ],
    [
      "exec: output and status",
      `up $BB $N sleep 1000; c task exec --exec-id e1 $N sh -c 'echo out; echo errors >&2; exit 7'; echo $?; c task exec --exec-id e2 --cwd /tmp $N pwd; echo word | c task exec --exec-id e3 $N cat`,
    ],
    [
      "exec: a program that is not there",
      `up $BB $N sleep 1000; c task exec --exec-id e1 $N nothing 2>/dev/null; echo $?; state`,
    ],
    [
      "exec -t",
      `up $BB $N sleep 1000; terminal c task exec -t --exec-id e1 $N sh -c 'sleep 1; stty size; exit 4'`,
    ],
    ["pause and resume", `up $BB $N sleep 1000; c task pause $N; state; c task resume $N; state`],
    [
      "task ps",
      `up $BB $N sh -c 'sleep 1000 & wait'; until_ok bash -c '[ $(c task ps $N | wc -l) -ge 3 ]'; c task ps $N | wc -l`,
    ],
    ["task metrics", `up $BB $N sleep 1000; c task metrics $N | awk '{ print $1 }'`],
    [
      "limits: memory and CPUs",
      `run --rm --memory-limit 100000000 --cpus 0.5 $BB $N sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max' 2>/dev/null; echo $?`,
    ],
    ["--env, --cwd, --user", `run --rm --env A=B --cwd /tmp --user 65534 $BB $N sh -c 'echo $A; pwd; id -u'`],
    [
      "--read-only, --mount",
      `mkdir $D/m; echo text >$D/m/f; run --rm --read-only --mount type=bind,src=$D/m,dst=/m,options=rbind:rw $BB $N sh -c 'echo more >>/m/f; echo >/x; echo $?' 2>/dev/null; cat $D/m/f`,
    ],
    [
      "--net-host, --privileged",
      `run --rm --net-host $BB $N sh -c 'hostname' | cmp - <(hostname) && echo same; run --rm --privileged $BB $N grep CapEff /proc/self/status`,
    ],
    [
      "--null-io, --pid-file",
      `up --null-io --pid-file $D/pid $BB $N sleep 1000; [ -d /proc/$(cat $D/pid) ] && echo there`,
    ],
    [
      "the events of a life",
      `c events >$D/events & e=$!; sleep 0.5; run --rm $BB $N true; until_ok grep -q tasks/delete $D/events; kill $e; grep -o '/tasks/[a-z-]*' $D/events`,
    ],
    [
      "the sandbox API",
      `printf '{}' >$D/s.json; c sandboxes list | head -c 2; echo; c sandboxes run --runtime $R $D/s.json sb >/dev/null 2>&1; echo $?; c sandboxes list | wc -l; c sandboxes rm --force sb >/dev/null 2>&1; state`,
    ],
    [
      "task delete --force",
      `up $BB $N sleep 1000; c task delete --force $N 2>/dev/null; echo $?; c task list | wc -l; c container delete $N; c container list | wc -l`,
    ],
  ] as const
).map(([title, script]) => ({ title, script: state + script, clients: ["ctr"] }));
