import type { Case } from "./case.js";

const clients = ["docker"] as const;

/** What the fewer use of docker's options. */
export const options: readonly Case[] = [
  {
    title: "--cidfile, --label, --annotation, --pull never",
    clients,
    script: `run --rm --cidfile $D/id --pull never $BB true; wc -c <$D/id; up --label a=b --annotation x=y --name $N $BB sleep 100; c inspect -f '{{.Config.Labels}} {{.HostConfig.Annotations}}' $N; run --pull never nothing:1 true`,
  },
  {
    title: "--attach to some streams",
    clients,
    script: `run --rm --attach stdout $BB sh -c 'echo out; echo err >&2'; echo; run --rm --attach stderr $BB sh -c 'echo out; echo err >&2' 2>&1; echo given | run --rm --interactive --attach stdin --attach stdout $BB cat`,
  },
  {
    title: "--stop-timeout",
    clients,
    script: `up --stop-timeout 1 --name $N $BB sh -c 'trap : TERM; while :; do sleep 0.1; done'; timeout 8 c stop $N; c inspect -f '{{.State.ExitCode}}' $N`,
  },
  {
    title: "signals to the client reach the container, or not",
    clients,
    script: `run --name $N $BB sh -c 'trap "echo caught; exit 4" TERM; echo ready; while :; do sleep 0.1; done' >$D/out & until_ok grep -q ready $D/out; pkill -TERM -f "run --runtime $R --name $N "; wait $!; c wait $N; cat $D/out; c rm $N >/dev/null; run --sig-proxy=false --name $N $BB sh -c 'echo ready; sleep 100' >$D/out & until_ok grep -q ready $D/out; pkill -TERM -f "run --runtime $R --sig-proxy=false --name $N "; sleep 1; c inspect -f '{{.State.Running}}' $N; c kill $N >/dev/null; wait $!; echo $?`,
  },
  {
    title: "logs: --tail, --since, --until, --timestamps",
    clients,
    script: `run --name $N $BB sh -c 'echo one; sleep 2; echo two; echo three'; at=$(c logs --timestamps --tail 1 $N | cut -d' ' -f1 | grep Z); c logs --tail 2 $N; echo; c logs --since $at $N; echo; c logs --until $(date -u -d "$at - 1 second" +%FT%T.%NZ) $N`,
  },
  {
    title: "kill with signals of all kinds",
    clients,
    script: `for s in HUP INT USR1 SIGKILL 34 RTMIN+3 WINCH; do up --name $N $DEB sleep 100; c kill --signal $s $N >/dev/null; sleep 0.5; c inspect -f "$s {{.State.Running}} {{.State.ExitCode}}" $N; c rm -f $N >/dev/null; done; up --name $N $BB sleep 100; c kill --signal NONE $N`,
  },
  {
    title: "cp --archive, of a link, of an archive, of nothing",
    clients,
    script: `up --name $N $BB sleep 100; c exec $N sh -c 'mkdir -p /s/d; echo 1 >/s/d/f; chown 12:34 /s/d/f; chmod 640 /s/d/f; ln -s f /s/d/l'; c cp --archive $N:/s $D/s >/dev/null 2>&1; stat -c '%u %g %a' $D/s/d/f; readlink $D/s/d/l; c cp --archive $D/s $N:/s2 >/dev/null 2>&1; c exec $N stat -c '%u %g %a' /s2/d/f; c cp --follow-link $N:/s/d/l $D/l >/dev/null 2>&1; cat $D/l; tar -C $D -c s | c cp - $N:/tmp; c exec $N ls /tmp/s; c cp $N:/s - | tar -t; c cp $N:/nothing $D; rm -r $D/s`,
  },
  {
    title: "--security-opt systempaths=unconfined, label, apparmor",
    clients,
    script: `run --rm --security-opt systempaths=unconfined $BB sh -c 'grep -c " /proc/" /proc/self/mounts; head -c 0 /proc/keys; echo $?; test -w /proc/sys/kernel/shm_rmid_forced; echo $?'; run --rm --security-opt label=disable --security-opt apparmor=unconfined $BB echo confined otherwise; run --rm --security-opt apparmor=nothing $BB echo unconfined; run --rm --security-opt label=type:some_t $BB true`,
  },
  {
    title: "--cpu-period, --cpu-quota, --cpuset-mems, --memory-reservation, --blkio-weight",
    clients,
    script: `run --rm --cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 1 --cpuset-mems 0 --memory 64m --memory-reservation 32m --memory-swap 128m --memory-swappiness 10 --blkio-weight 300 $BB sh -c 'cd /sys/fs/cgroup; cat cpu/cpu.cfs_period_us cpu/cpu.cfs_quota_us cpuset/cpuset.mems memory/memory.soft_limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.swappiness 2>/dev/null || cat cpu.max cpuset.mems memory.low memory.swap.max; nproc'; run --rm --cpuset-cpus 999 $BB true; run --rm --memory 1m $BB true`,
  },
  {
    title: "--device-read-bps, --device-write-iops, a device to be read alone, none",
    clients,
    script: `d=/dev/$(lsblk -ndo NAME | head -1); run --rm --device-read-bps $d:1mb --device-write-iops $d:100 $BB sh -c 'cat /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device /sys/fs/cgroup/blkio/blkio.throttle.write_iops_device 2>/dev/null || cat /sys/fs/cgroup/io.max'; run --rm --device /dev/zero:/dev/mine:r $BB sh -c 'head -c 3 /dev/mine | wc -c; echo x >/dev/mine'; run --rm --device /dev/nothing $BB true`,
  },
  {
    title: "--mount with bind-propagation",
    clients,
    script: `mkdir $D/m; mount -t tmpfs none $D/m; mount --make-shared $D/m; for p in private rprivate shared rshared slave rslave; do run --rm --mount type=bind,src=$D/m,dst=/m,bind-propagation=$p $BB sh -c 'grep " /m " /proc/self/mountinfo | cut -d" " -f7 | sed "s/[0-9]*//g"'; done; up --name $N --mount type=bind,src=$D/m,dst=/m,bind-propagation=rslave $BB sleep 100; mkdir $D/m/sub; mount -t tmpfs none $D/m/sub; touch $D/m/sub/file; c exec $N ls /m/sub; c rm -f $N >/dev/null; umount -R $D/m`,
  },
  {
    title: "--tmpfs: owner, size, no programs; volumes: what the image has there, a part",
    clients,
    script: `run --rm --tmpfs /t:rw,noexec,size=9m,uid=33,mode=755 $BB sh -c 'cp /bin/busybox /t/; /t/busybox true; echo $?; stat -c "%u %a" /t; grep " /t " /proc/mounts'; run --rm -v $N-v:/etc $BB sh -c 'ls /etc | head -2; mkdir /etc/part; echo part >/etc/part/f'; run --rm -v $N-v:/y $BB sh -c 'ls /y | head -2'; run --rm --mount type=volume,src=$N-v,dst=/p,volume-subpath=part $BB cat /p/f; c volume rm $N-v >/dev/null`,
  },
  {
    title: "IPv6 and IPv4 addresses of one's own",
    clients,
    script: `c network create --ipv6 --subnet fd00:77::/64 --subnet 10.77.0.0/24 $N-net >/dev/null; up --network $N-net --network-alias other --ip 10.77.0.9 --ip6 fd00:77::9 --name $N $BB sh -c 'mkdir /w; echo six >/w/index.html; exec httpd -f -p [::]:80 -h /w'; run --rm --network $N-net $BB sh -c 'for a in [fd00:77::9] 10.77.0.9 other; do for i in 1 2 3 4 5; do wget -qO- http://$a/ 2>/dev/null && break; sleep 1; done; done'; c rm -f $N >/dev/null; c network rm $N-net >/dev/null`,
  },
  {
    title: "--publish of ranges, --publish-all, --link",
    clients,
    script: `up -p 127.0.0.1:19100-19101:80-81 -p 127.0.0.1:19102:82/udp --name $N $BB sleep 100; c port $N; up --expose 83 --publish-all --name $N-b $BB sleep 100; c port $N-b | sed 's/:[0-9]*$//'; run --rm --link $N:alias $BB sh -c 'grep -c alias /etc/hosts; ping -c 1 -q alias >/dev/null; echo $?'`,
  },
  {
    title: "start --attach --interactive",
    clients,
    script: `c create --interactive --runtime $R --name $N $BB cat >/dev/null; echo given | c start --attach --interactive $N; c logs $N`,
  },
  {
    title: "checkpoint, where there is no CRIU",
    clients,
    script: `up --name $N $BB sleep 100; c checkpoint create $N saved >/dev/null 2>&1; echo $?; c inspect -f '{{.State.Status}}' $N; c exec $N echo still`,
  },
  {
    title: "--gpus, --runtime and --storage-opt that are not there",
    clients,
    script: `run --rm --gpus device=0 $BB true; c run --rm --runtime io.containerd.nothing.v9 $BB true 2>&1 | grep -c nothing; run --rm --storage-opt size=1G $BB true`,
  },
];
