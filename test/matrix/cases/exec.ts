import type { Case } from "./case.js";

/** Programs started in a container that runs. */
export const exec: readonly Case[] = [
  {
    title: "exec: output, errors and status",
    quick: true,
    script: `up --name $N $BB sleep 100; c exec $N sh -c 'echo out; echo err >&2; exit 5'`,
  },
  {
    title: "exec: --user, --workdir, --env",
    script: `up --env A=1 --name $N $BB sleep 100; c exec --user 1000:2000 --workdir /var/tmp --env B=2 $N sh -c 'id; pwd; echo $A $B; grep Cap /proc/self/status'`,
  },
  { title: "exec: a user by name", script: `up --name $N $BB sleep 100; c exec --user nobody $N id` },
  {
    title: "exec: --privileged",
    script: `up --name $N $BB sleep 100; c exec --privileged $N sh -c 'grep CapEff /proc/self/status'`,
  },
  {
    title: "exec: a program that is not there",
    quick: true,
    script: `up --name $N $BB sleep 100; c exec $N nope`,
  },
  {
    title: "exec: a program that is not executable",
    script: `up --name $N $BB sleep 100; c exec $N /etc/passwd`,
  },
  {
    title: "exec: standard input",
    script: `up --name $N $BB sleep 100; printf 'from outside' | c exec -i $N tr a-z A-Z`,
  },
  {
    title: "exec -it",
    quick: true,
    script: `up --name $N $BB sleep 100; terminal c exec -it $N sh -c 'until stty size 2>&1 | grep -q 101; do sleep 0.1; done; tty; stty size; exit 4'; echo $?`,
  },
  {
    title: "exec -it: ctrl-c",
    script: `up --name $N $BB sleep 100; typed 2 '\\003' | terminal c exec -it $N sh -c 'trap "echo caught; exit 7" INT; while :; do sleep 0.1; done' | tr -d '\\r^C'; echo \${PIPESTATUS[1]}`,
  },
  {
    title: "exec -d",
    script: `up --name $N $BB sleep 100; c exec -d $N sh -c 'echo done > /done'; until_ok c exec $N test -f /done; c exec $N cat /done`,
  },
  {
    title: "exec: death by a signal",
    script: `up --name $N $BB sleep 100; c exec $N sh -c 'kill -TERM $$'; echo $?; c exec $N sh -c 'kill -KILL $$'`,
  },
  {
    title: "exec sees the container's processes",
    script: `up --name $N $BB sh -c 'sleep 100; true'; sleep 0.5; c exec $N ps -o comm | sort`,
  },
  {
    title: "exec of many at once",
    script: `up --name $N $BB sleep 100; for i in $(seq 12); do (c exec $N sh -c "echo $i; exit $i"; echo "status $?") 2>/dev/null & done | sort -n; wait`,
  },
  {
    title: "exec ends with the container",
    script: `up --name $N $BB sleep 100; (sleep 1; c kill $N >/dev/null) & c exec $N sleep 50; echo $?; wait`,
  },
  {
    title: "exec in a container that has ended",
    script: `up --name $N $BB true; c wait $N; c exec $N true 2>/dev/null; echo $?`,
  },
  {
    title: "exec: children outlive it",
    script: `up --name $N $BB sleep 100; c exec $N sh -c 'sleep 77 >/dev/null 2>&1 & echo started'; c exec $N ps -o args | grep -c 'sleep 77'`,
  },
];
