import type { Case } from "./case.js";

/** Environment, root file system, mounts, volumes, log drivers. */
export const files: readonly Case[] = [
  {
    title: "--workdir, --env, --env-file",
    quick: true,
    script: `printf 'A=1\\nB=two words\\n' > $D/env; run --rm --workdir /var/tmp --env C=3 --env-file $D/env $BB sh -c 'pwd; echo $A $B $C; env | cut -d= -f1 | sort'`,
  },
  {
    title: "--read-only and --tmpfs",
    quick: true,
    script: `run --rm --read-only --tmpfs /scratch:size=1m,mode=1777 $BB sh -c 'touch /x; echo $?; touch /scratch/x; echo $?; grep " /scratch " /proc/mounts; head -c 2000000 /dev/zero > /scratch/big; ls -l /scratch/big | awk "{print \\$5}"'`,
  },
  {
    title: "-v: a folder, written from both sides",
    quick: true,
    script: `echo given > $D/given; run --rm -v $D:/data $BB sh -c 'cat /data/given; echo made > /data/made; mkdir /data/d; chown 1000:1000 /data/made'; stat -c '%u:%g %a' $D/made; cat $D/made`,
  },
  {
    title: "-v: read-only",
    script: `echo given > $D/given; run --rm -v $D:/data:ro $BB sh -c 'cat /data/given; touch /data/x'`,
  },
  {
    title: "-v: a file",
    script: `echo given > $D/given; run --rm -v $D/given:/etc/given $BB sh -c 'cat /etc/given; echo more >> /etc/given'; cat $D/given`,
  },
  {
    title: "a named volume",
    script: `c volume create $N >/dev/null; run --rm -v $N:/data $BB sh -c 'echo kept > /data/f'; run --rm -v $N:/data $BB cat /data/f; c volume rm $N >/dev/null; echo $?`,
  },
  {
    title: "--volumes-from",
    script: `up -v /shared --name $N $BB sh -c 'echo there > /shared/f; sleep 100'; sleep 0.5; run --rm --volumes-from $N $BB cat /shared/f`,
  },
  {
    title: "--mount with tmpfs and bind",
    script: `run --rm --mount type=tmpfs,destination=/t,tmpfs-size=1m --mount type=bind,source=$D,destination=/b,readonly $BB sh -c 'df -k /t | tail -n 1 | awk "{print \\$2}"; touch /b/x'`,
  },
  {
    title: "-v: a unix socket of a server outside",
    script: `node -e 'require("net").createServer((s) => { s.end("hello from outside\\n"); }).listen(process.argv[1])' $D/s & until_ok test -S $D/s; run --rm -v $D:/d $DEB python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/d/s"); print(s.recv(100))'; kill $!`,
  },
  {
    title: "--log-driver none",
    script: `up --log-driver none --name $N $BB echo x; c wait $N; c logs $N`,
  },
  {
    title: "--log-driver local, json-file with a limit",
    clients: ["docker"],
    script: `up --log-driver local --name $N $BB seq 3; c wait $N; c logs $N; up --log-driver json-file --log-opt max-size=10k --log-opt max-file=2 --name $N-j $BB seq 5000; c wait $N-j; c logs $N-j | tail -n 1`,
  },
  {
    title: "--log-driver local, json-file with a limit",
    clients: ["nerdctl"],
    script: `up --log-driver local --name $N-l $BB true; up --log-driver json-file --log-opt max-size=10k --log-opt max-file=2 --name $N $BB seq 5000; c wait $N; until_ok sh -c 'c logs $N | tail -n 1 | grep 5000'`,
  },
  {
    title: "a file of 100 MB",
    script: `run --rm $BB sh -c 'head -c 100000000 /dev/zero > /big; sha256sum /big; sync; rm /big'`,
  },
];
