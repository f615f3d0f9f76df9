import type { Case } from "./case.js";

/** With a dockerd or nerdctl whose containers' users are others outside: 100000 for 0, and so on. */
export const userNamespace: readonly Case[] = (
  [
    [
      "who it is inside, and outside",
      `up --name $N $BB sleep 1000; c exec $N sh -c 'id; cat /proc/self/uid_map /proc/self/gid_map | tr -s " "'; grep -E '^[UG]id' /proc/$(c inspect -f '{{.State.Pid}}' $N)/status`,
    ],
    [
      "another user, groups",
      `run --rm --user 1000:2000 --group-add 3000 $BB sh -c 'id; touch /tmp/f; stat -c "%u %g" /tmp/f'`,
    ],
    ["a user that is not in the range", `run --rm --user 70000 $BB id 2>/dev/null; echo $?`],
    [
      "files: of the image, made, given away",
      `run --rm $BB sh -c 'exec 2>&1; stat -c "%u %g" /bin/busybox /; touch /f; chown 1000:2000 /f; stat -c "%u %g" /f; chown 70000 /f; echo $?'`,
    ],
    [
      "a folder of the host: whose files are",
      `mkdir $D/closed $D/open; chmod 755 $D; chmod 700 $D/closed; chmod 777 $D/open; run --rm -v $D:/d $BB sh -c 'exec 2>&1; ls /d/closed; touch /d/closed/f; echo $?; stat -c "%u %g" /d/open; echo made > /d/open/f; su -s /bin/sh nobody -c "touch /d/open/g"; stat -c "%u %g" /d/open/f'; stat -c '%u %g' $D/open/f`,
    ],
    [
      "a named volume",
      `run --rm -v tine-volume:/v $BB sh -c 'echo kept > /v/f; chown 5:6 /v/f'; run --rm -v tine-volume:/v $BB sh -c 'cat /v/f; stat -c "%u %g" /v/f'; c volume rm tine-volume >/dev/null`,
    ],
    [
      "capabilities reach no further than the namespace",
      `run --rm --cap-add ALL $BB sh -c 'exec 2>&1; grep CapEff /proc/self/status; mount -t tmpfs none /tmp; echo $?; mknod /tmp/n c 1 3; echo $?; hostname other; echo $?; date -s 2000-01-01 >/dev/null; echo $?'`,
    ],
    ["--privileged is refused", `run --rm --privileged $BB true 2>&1; echo $?`],
    [
      "--userns host",
      `run --rm --userns host $BB sh -c 'tr -s " " < /proc/self/uid_map; id -u'; up --userns host --name $N $BB sleep 1000; grep ^Uid /proc/$(c inspect -f '{{.State.Pid}}' $N)/status`,
    ],
    [
      "exec as others, cp, commit",
      `up --name $N $BB sleep 1000; c exec --user 7:8 $N id; c exec $N sh -c 'echo text > /f; chown 9:9 /f'; c cp $N:/f $D/f; cat $D/f; c cp $D/f $N:/g; c exec $N stat -c '%u %g' /g; c commit $N tine.test/committed >/dev/null; run --rm tine.test/committed stat -c '%u %g' /f; c rmi -f tine.test/committed >/dev/null`,
    ],
    [
      "a terminal, signals, an exit status",
      `terminal c run --rm -it --runtime $R $BB sh -c 'sleep 0.5; tty; stat -c "%u" $(tty); stty size'; up --name $N $BB sh -c 'trap "exit 6" TERM; while :; do sleep 0.1; done'; c stop $N >/dev/null; c wait $N`,
    ],
    [
      "processes, set-uid, a namespace inside",
      `run --rm --security-opt seccomp=unconfined $DEB sh -c 'python3 -c "import os; p = os.fork(); os.waitpid(p, 0) if p else os.setuid(1000) or print(os.getuid())"; setpriv --reuid 1000 --clear-groups id -u; unshare -Ur cat /proc/self/uid_map | tr -s " "'`,
    ],
    [
      "a network with a port",
      `up --name $N -p 18097:80 $BB sh -c 'while :; do echo served | nc -l -p 80; done'; until_ok bash -c 'timeout 2 cat < /dev/tcp/127.0.0.1/18097 2>/dev/null | grep served' 2>/dev/null`,
    ],
  ] as const
).map(([title, script]) => ({ title, script, clients: ["docker-userns", "nerdctl-userns"] }));
