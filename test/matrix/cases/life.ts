import type { Case } from "./case.js";

/** A container's life: starting, pausing, stopping, restarting, and looking at it. */
export const life: readonly Case[] = [
  {
    title: "kill",
    script: `up --name $N $BB sleep 100; c kill $N >/dev/null; c wait $N; c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "kill with a signal that is caught",
    script: `up --name $N $BB sh -c 'trap "echo usr1" USR1; trap "exit 4" TERM; while :; do sleep 0.1; done'; sleep 0.5; c kill -s USR1 $N >/dev/null; sleep 1; c kill -s TERM $N >/dev/null; c wait $N; c logs $N`,
  },
  {
    title: "kill of a container that has ended",
    script: `up --name $N $BB true; c wait $N; sleep 0.3; c kill $N`,
  },
  {
    title: "stop",
    quick: true,
    script: `up --name $N $BB sh -c 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'; until_logged ready; c stop -t 60 $N >/dev/null; c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "stop of a program that ignores it",
    script: `up --name $N $BB sh -c 'trap "" TERM; while :; do sleep 0.1; done'; sleep 0.5; c stop -t 1 $N >/dev/null; c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "--stop-signal",
    script: `up --stop-signal USR2 --name $N $BB sh -c 'trap "exit 22" USR2; while :; do sleep 0.1; done'; sleep 0.5; c stop -t 3 $N >/dev/null; c inspect -f '{{.State.ExitCode}}' $N`,
  },
  {
    title: "pause and unpause",
    quick: true,
    script: `up --name $N $BB sh -c 'i=0; while :; do i=$((i+1)); echo $i >> /n; sleep 0.05; done'; until_ok c exec $N test -s /n; c pause $N >/dev/null; c inspect -f '{{.State.Status}}' $N; c exec $N true; c unpause $N >/dev/null; c inspect -f '{{.State.Status}}' $N; a=$(c exec $N tail -n 1 /n); until_ok c exec $N sh -c 'test $(tail -n 1 /n) -gt '$a; echo $?`,
  },
  {
    title: "stop and kill of a paused container",
    script: `up --name $N $BB sleep 100; c pause $N >/dev/null; c kill $N 2>/dev/null; c rm -f $N >/dev/null 2>&1; echo $?`,
  },
  {
    title: "start again",
    quick: true,
    script: `up --name $N $BB sh -c 'echo run >> /f; cat /f'; c wait $N; c start -a $N; c start -a $N | tail -n 3`,
  },
  {
    title: "restart",
    script: `up --name $N $BB sh -c 'echo run >> /f; cat /f; trap "exit 0" TERM; while :; do sleep 0.1; done'; sleep 0.5; c restart -t 2 $N >/dev/null; sleep 0.7; c exec $N cat /f; c inspect -f '{{.State.Status}}' $N`,
  },
  {
    title: "create, then start",
    script: `c create --runtime $R --name $N $BB echo made >/dev/null; c inspect -f '{{.State.Status}}' $N; c start -a $N; c inspect -f '{{.State.Status}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "restart policy on-failure",
    lacks: { nerdctl: "its restart policies are no and always" },
    quick: true,
    script: `up --restart on-failure:2 --name $N $BB sh -c 'echo run; exit 3'; until_ok sh -c '[ "$(c inspect -f "{{.RestartCount}} {{.State.Status}}" $N)" = "2 exited" ]'; c logs $N; c inspect -f '{{.RestartCount}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "restart policy always, after a kill from inside",
    clients: ["docker"],
    script: `up --restart always --name $N $BB sh -c 'echo run; sleep 0.5; kill -9 -1; exit 1'; sleep 4; n=$(c logs $N 2>/dev/null | wc -l); test $n -ge 2; echo $?; c stop -t 1 $N >/dev/null; c inspect -f '{{.State.Status}}' $N`,
  },
  {
    title: "restart policy always, after a kill from inside",
    clients: ["nerdctl"],
    script: `up --restart always --name $N $BB sh -c 'echo run; sleep 0.5; kill -9 -1; exit 1'; for i in 1 2; do until_ok sh -c 'test $(c logs $N 2>/dev/null | wc -l) -ge 2' && break; done; test $(c logs $N 2>/dev/null | wc -l) -ge 2; echo $?; c update --restart no $N >/dev/null; c stop -t 1 $N >/dev/null; c inspect -f '{{.State.Status}}' $N`,
  },
  {
    title: "restart policy always, when the process is killed from outside",
    clients: ["docker"],
    script: `up --restart always --name $N $BB sleep 1000; p=$(c inspect -f '{{.State.Pid}}' $N); kill -9 $p; sleep 2; q=$(c inspect -f '{{.State.Pid}}' $N); test $q != $p -a $q != 0; echo $?; c inspect -f '{{.RestartCount}} {{.State.Status}}' $N`,
  },
  {
    title: "restart policy always, when the process is killed from outside",
    clients: ["nerdctl"],
    script: `up --restart always --name $N $BB sleep 1000; p=$(c inspect -f '{{.State.Pid}}' $N); kill -9 $p; q() { c inspect -f '{{.State.Pid}} {{.State.Status}}' $N; }; export -f q; export p; for i in 1 2; do until_ok bash -c '[[ $(q) != $p* && $(q) = *running ]]' && break; done; q | grep -c running; c rm -f $N >/dev/null; echo $?`,
  },
  {
    title: "health check: healthy, then unhealthy",
    clients: ["docker"],
    script: `up --health-cmd 'test -f /ok' --health-interval 300ms --health-retries 2 --health-timeout 60s --name $N $BB sh -c 'sleep 1; touch /ok; sleep 100'; until_ok sh -c '[ "$(c inspect -f "{{.State.Health.Status}}" $N)" = healthy ]'; echo healthy; c exec $N rm /ok; until_ok sh -c '[ "$(c inspect -f "{{.State.Health.Status}}" $N)" = unhealthy ]'; echo unhealthy`,
  },
  {
    title: "health check: healthy, then unhealthy",
    clients: ["nerdctl"],
    script: `up --health-cmd 'test -f /ok' --health-interval 1h --health-retries 2 --health-timeout 5s --name $N $BB sh -c 'touch /ok; sleep 100'; sleep 0.5; state() { c inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' $N; }; c container healthcheck $N; state; c exec $N rm /ok; c container healthcheck $N; state; c container healthcheck $N; state`,
  },
  {
    title: "health check that takes too long",
    lacks: { nerdctl: "it has the check run by systemd, and without it only by hand" },
    script: `up --health-cmd 'sleep 30' --health-interval 300ms --health-retries 1 --health-timeout 500ms --name $N $BB sleep 100; until_ok sh -c '[ "$(c inspect -f "{{.State.Health.Status}}" $N)" = unhealthy ]'; c inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $N`,
  },
  {
    title: "wait: several, with their statuses",
    script: `up --name $N-a $BB sh -c 'sleep 0.5; exit 3'; up --name $N-b $BB sh -c 'exit 4'; c wait $N-a $N-b`,
  },
  {
    title: "rm of a running container",
    script: `up --name $N $BB sleep 100; c rm $N; c rm -f $N >/dev/null; c inspect $N >/dev/null`,
  },
  {
    title: "--rm: nothing is left",
    script: `up --rm --name $N $BB true; until_ok sh -c '! c inspect $N >/dev/null 2>&1'; c ps -aq | wc -l`,
  },
  {
    title: "rename",
    script: `up --name $N $BB sleep 100; c rename $N $N-new; c exec $N-new echo reached; c inspect -f '{{.State.Status}}' $N-new`,
  },
  {
    title: "diff",
    script: `up --name $N $BB sh -c 'touch /new; rm /etc/passwd; mkdir /d; sleep 100'; sleep 0.7; c diff $N | sort`,
  },
  {
    title: "commit, and run what was committed",
    script: `up --name $N $BB sh -c 'echo kept > /kept; sleep 100'; sleep 0.7; c commit $N tine.test/committed-$N >/dev/null; run --rm tine.test/committed-$N cat /kept; c rmi -f tine.test/committed-$N >/dev/null`,
  },
  {
    title: "export",
    script: `up --name $N $BB sh -c 'echo kept > /kept'; c wait $N; c export $N | tar -xO kept`,
  },
  {
    title: "cp in and out, while it runs and after",
    quick: true,
    script: `up --name $N $BB sleep 100; echo given > $D/given; c cp $D/given $N:/tmp/given; c exec $N cat /tmp/given; c exec $N sh -c 'mkdir -p /tmp/a/b; echo inside > /tmp/a/b/f'; c cp $N:/tmp/a $D/out; cat $D/out/b/f; c kill $N >/dev/null; c wait $N; c cp $N:/tmp/a/b/f $D/after; cat $D/after`,
  },
  {
    title: "top",
    script: `up --name $N $BB sh -c 'sleep 100 & sleep 101; true'; sleep 0.7; c top $N -eo pid,comm,args | awk '{$1=""; print}' | sort`,
  },
  {
    title: "stats",
    quick: true,
    script: `up --name $N --memory 100m $BB sh -c 'sleep 100 & sleep 101; true'; until_ok sh -c 'c stats --no-stream --format "{{.PIDs}}" $N | grep -qx 3'; c stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemUsage}}' $N | sed 's|[0-9.]*[KM]iB /|SOME /|'`,
  },
  {
    title: "inspect: pid, cgroup, status",
    script: `up --name $N $BB sleep 100; p=$(c inspect -f '{{.State.Pid}}' $N); cat /proc/$p/comm; tr '\\0' ' ' </proc/$p/cmdline; echo; sed 's/.*://' /proc/$p/cgroup | sort -u | grep -v unified; c inspect -f '{{.State.Running}} {{.State.Status}}' $N`,
  },
  {
    title: "events of a life",
    clients: ["docker"],
    quick: true,
    script: `a=$(date +%s.%N); up --name $N $BB sleep 100; c exec $N true; c pause $N >/dev/null; c unpause $N >/dev/null; c kill $N >/dev/null; c wait $N; c rm $N >/dev/null; c events --since $a --until $(date +%s.%N) --filter type=container --format '{{.Action}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.signal}}'`,
  },
  {
    title: "events of a life",
    clients: ["nerdctl"],
    script: `c events --format '{{.Topic}}' > $D/events & sleep 0.5; up --name $N $BB sleep 100; c exec $N true; c pause $N >/dev/null; c unpause $N >/dev/null; c kill $N >/dev/null; c wait $N; c rm $N >/dev/null; sleep 0.5; kill $!; grep ^/tasks/ $D/events`,
  },
  {
    title: "update: the limit of processes, read inside",
    script: `up --name $N $BB sleep 100; c update --pids-limit 77 $N >/dev/null; c exec $N sh -c 'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max'`,
    differs: {
      why: "the group's limit is 4 higher than asked for, room for what a machine's start needs for an instant",
      tine: "81\n",
    },
  },
  {
    title: "update: memory and CPUs",
    quick: true,
    script: `up --memory 100m --memory-swap 200m --name $N $BB sleep 100; c update --memory 50m --memory-swap 60m --cpus 0.5 $N >/dev/null; c exec $N sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us 2>/dev/null || cat memory.max memory.swap.max cpu.max'`,
  },
  {
    title: "update: the restart policy",
    lacks: { nerdctl: "its restart policies are no and always" },
    script: `up --name $N $BB sh -c 'sleep 1; exit 3'; c update --restart on-failure:1 $N >/dev/null; until_ok sh -c '[ "$(c inspect -f "{{.RestartCount}} {{.State.Status}}" $N)" = "1 exited" ]'; echo $?`,
  },
];
