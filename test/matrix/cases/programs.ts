import type { Case } from "./case.js";

/** What goes in and comes out of a container's program, and how it ends. */
export const programs: readonly Case[] = [
  {
    title: "output, errors and exit status",
    quick: true,
    script: `run --rm $BB sh -c 'echo out; echo err >&2; exit 5'`,
  },
  { title: "a program that is not there", quick: true, script: `run --rm $BB nope` },
  { title: "a program that is not executable", script: `run --rm $BB /etc/passwd` },
  { title: "a folder as program", script: `run --rm $BB /etc` },
  { title: "a working folder that is not there is made", script: `run --rm --workdir /not/there $BB pwd` },
  {
    title: "death by a signal",
    script: `run --rm $DEB sh -c 'sh -c "kill -SEGV \\$\\$"; echo $?; sh -c "kill -KILL \\$\\$"; echo $?'`,
  },
  { title: "standard input", quick: true, script: `printf 'from outside' | run -i --rm $BB tr a-z A-Z` },
  {
    title: "20 MB in and out",
    script: `head -c 20000000 /dev/zero | tr '\\0' x | run -i --rm $BB cat | sha256sum`,
  },
  {
    title: "-it: a terminal with its size",
    quick: true,
    script: `terminal run -it --rm $BB sh -c 'until stty size 2>&1 | grep -q 101; do sleep 0.1; done; tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo terminal'`,
  },
  {
    title: "-it: typing, and the end of input",
    script: `typed 1 'echo a$((1+1))b\\n' 'exit 4\\n' | terminal run -it --rm $BB sh | tr -d '\\r' | grep -c a2b; echo \${PIPESTATUS[1]}`,
  },
  {
    title: "-it: resize",
    script: `(until_ok c exec $N test -e /ready 2>/dev/null; stty -F $(cat $D/tty) rows 40 cols 120) & terminal sh -c 'tty > $D/tty; run -it --rm --name $N $DEB bash -c "trap \\"stty size | grep -v 33 && exit\\" WINCH; : > /ready; for i in \\$(seq 80); do sleep 0.1; done; echo never"'`,
  },
  {
    title: "-it: ctrl-c",
    quick: true,
    script: `{ until_ok c exec $N test -e /ready 2>/dev/null; typed 1 '\\003'; } | terminal run -it --rm --name $N $BB sh -c 'trap "echo caught; exit 7" INT; : > /ready; while :; do sleep 0.1; done' | tr -d '\\r^C'; echo \${PIPESTATUS[1]}`,
  },
  {
    title: "-it: job control",
    script: `says() { until_ok grep -q -- "$1" $D/out; }; : >$D/out
{ says '#'; printf 'echo be""gun; sleep 50\\n'; says begun; sleep 0.5; printf '\\032'; says Stopped; printf 'kill -9 %%%%; wait; echo go""ne\\n'; says gone; printf 'exit 3\\n'; } |
  terminal run -it --rm $DEB bash --norc >$D/out; echo $?; tr -d '\\r' <$D/out | grep -c Stopped`,
  },
  {
    title: "-d and logs",
    quick: true,
    script: `up --name $N $BB sh -c 'echo one; echo two >&2; exit 6'; c wait $N; c logs $N 2>/dev/null; c logs $N 2>&1 >/dev/null`,
  },
  {
    title: "logs -f",
    script: `up --name $N $BB sh -c 'for i in 1 2 3; do echo $i; sleep 0.3; done'; c logs -f $N`,
  },
  {
    title: "attach and detach keys",
    clients: ["docker"],
    script: `up -i -t --name $N $BB sh; typed 1 'echo a$((1+1))b\\n' '\\020\\021' | terminal c attach $N | tr -d '\\r' | grep -c a2b; c inspect -f '{{.State.Status}}' $N; typed 1 'exit 9\\n' | terminal c attach $N >/dev/null; c wait $N`,
  },
  {
    title: "attach and detach keys",
    clients: ["nerdctl"],
    script: `typed 1 'echo a$((1+1))b\\n' '\\020\\021' | terminal run -it --name $N $BB sh | tr -d '\\r' | grep -c a2b; c inspect -f '{{.State.Status}}' $N; typed 1 'echo b$((1+2))c\\n' 'exit 9\\n' | terminal c attach $N | tr -d '\\r' | grep -c b3c; c wait $N`,
  },
  {
    title: "attach without a terminal",
    lacks: { nerdctl: "it cannot attach to what was started detached, and detaches only from a terminal" },
    script: `up -i --name $N $BB sh -c 'while read x; do echo got $x; done; exit 3'; typed 1 'one\\n' 'two\\n' | (timeout -s KILL 20 c attach $N; :) 2>/dev/null; c logs $N; c inspect -f '{{.State.Status}}' $N`,
  },
  { title: "--entrypoint", script: `run --rm --entrypoint /bin/echo $BB a b` },
  {
    title: "--init: orphans are reaped, signals forwarded",
    lacks: { nerdctl: "it takes the host's tini, which wants a C library: the next case" },
    quick: true,
    script: `up --init --name $N $BB sh -c 'trap "echo term; exit 3" TERM; (sleep 0.1 &); sleep 2; ps -o stat | grep -c Z; echo ready; while :; do sleep 0.1; done'; until_logged ready; c exec $N sh -c 'cat /proc/1/comm'; c stop -t 60 $N >/dev/null; c logs $N; c inspect -f '{{.State.ExitCode}}' $N`,
  },

  {
    title: "--init in an image with a C library",
    script: `up --init --name $N $DEB sh -c 'trap "echo term; exit 3" TERM; (sleep 0.1 &); sleep 2; ps -o stat | grep -c Z; echo ready; while :; do sleep 0.1; done'; until_logged ready; c exec $N sh -c 'cat /proc/1/comm'; c stop -t 60 $N >/dev/null; c logs $N; c inspect -f '{{.State.ExitCode}}' $N`,
  },
  { title: "8 containers' output in turn", script: `for i in $(seq 8); do run --rm $BB echo $i; done` },
];
