import type { Case } from "./case.js";

const cgroup = (v1: string, v2: string): string =>
  `'cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}'`;

/** Identity, privileges, limits and namespaces. */
export const confinement: readonly Case[] = [
  {
    title: "--user and --group-add",
    quick: true,
    script: `run --rm --user 1000:2000 --group-add 3000 $BB sh -c 'id; grep -E "^(Uid|Gid|Groups|Cap)" /proc/self/status; touch /x'`,
  },
  {
    title: "--user by name",
    script: `run --rm --user nobody $BB id; run --rm --user nosuchuser $BB id 2>/dev/null; echo $?`,
  },
  { title: "the default capabilities", script: `run --rm $BB grep -E '^(Cap|Seccomp:)' /proc/self/status` },
  {
    title: "--cap-add and --cap-drop",
    quick: true,
    script: `run --rm --cap-add SYS_TIME --cap-drop CHOWN $BB sh -c 'grep Cap /proc/self/status; chown 5 /tmp; echo $?'; run --rm --cap-drop ALL $BB sh -c 'grep Cap /proc/self/status'`,
  },
  {
    title: "--privileged",
    quick: true,
    script: `run --rm --privileged $BB sh -c 'grep -E "^(Cap|Seccomp:)" /proc/self/status; mount -t tmpfs none /mnt && grep -c " /mnt " /proc/mounts; hostname x && hostname; ls /dev | grep -vE "^(loop|tty|vcs|kvm|ram)" | sort | head -n 20; test -w /proc/sys/kernel/hostname; echo $?'`,
  },
  {
    title: "--security-opt no-new-privileges",
    script: `run --rm --security-opt no-new-privileges $BB grep NoNewPrivs /proc/self/status`,
  },
  {
    title: "--security-opt seccomp=unconfined",
    script: `run --rm --security-opt seccomp=unconfined $DEB sh -c 'grep -E "^Seccomp:" /proc/self/status; unshare -U true; echo $?'`,
  },
  {
    title: "the default seccomp profile",
    script: `run --rm $DEB sh -c 'grep -E "^Seccomp:" /proc/self/status; unshare -U true; echo $?; python3 -c "import ctypes; l = ctypes.CDLL(None, use_errno=True); print(l.mount(0, 0, 0, 0, 0), ctypes.get_errno()); print(l.syscall(250, 0, 0, 0), ctypes.get_errno())"'`,
  },
  {
    title: "--security-opt seccomp=FILE",
    quick: true,
    script: `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}' > $D/profile.json; run --rm --security-opt seccomp=$D/profile.json $BB mkdir /tmp/x`,
  },
  {
    title: "--memory",
    quick: true,
    script: `run --rm --memory 64m $BB sh -c ${cgroup("memory/memory.limit_in_bytes", "memory.max")}`,
  },
  {
    title: "--memory: an OOM kill of the program",
    quick: true,
    script: `up --memory 64m --name $N $BB tail /dev/zero; c wait $N; c inspect -f '{{.State.ExitCode}}' $N`,
  },
  {
    title: "--memory: an OOM kill is reported",
    lacks: { nerdctl: "what it tells of a container's state has no such field" },
    quick: true,
    script: `up --memory 64m --name $N $BB tail /dev/zero; c wait $N; until_ok sh -c '[ "$(c inspect -f {{.State.OOMKilled}} $N)" = true ]'; c inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' $N`,
  },
  {
    title: "--memory: an OOM kill of a child",
    script: `up --memory 64m --name $N $DEB bash -c 'python3 -c "x = bytearray(200 << 20)"; echo child $?; exit 3'; c wait $N; c logs $N 2>/dev/null`,
  },
  {
    title: "--memory is enough for what runc runs in it",
    script: `run --rm --memory 16m $BB sh -c 'seq 1 100 | sort -r | head -n 1'; run --rm --memory 32m $DEB python3 -c 'print(6 * 7)'`,
  },
  {
    title: "--cpus, --cpu-shares, --cpuset-cpus",
    script: `run --rm --cpus 0.5 $BB sh -c ${cgroup("cpu/cpu.cfs_quota_us", "cpu.max")}; run --rm --cpu-shares 512 $BB sh -c ${cgroup("cpu/cpu.shares", "cpu.weight")}; run --rm --cpuset-cpus 1 $BB sh -c 'nproc; grep Cpus_allowed_list /proc/self/status'`,
  },
  {
    title: "--pids-limit",
    quick: true,
    script: `run --rm --pids-limit 20 $BB sh -c 'for i in $(seq 30); do sleep 100 & done' 2>&1 | grep -c -m 1 "can.t fork"`,
  },
  {
    title: "--pids-limit that the program just keeps",
    script: `run --rm --pids-limit 4 $DEB bash -c '(sleep 0.2 & sleep 0.2 & wait; echo two); echo end'`,
  },
  {
    title: "--ulimit",
    quick: true,
    script: `run --rm --ulimit nofile=100:200 --ulimit core=0 --ulimit stack=-1:-1 --ulimit fsize=1000000:2000000 $BB sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -f; ulimit -s'`,
  },
  {
    title: "--ulimit on memory, files, signals and time",
    quick: true,
    script: `run --rm --ulimit data=300000000:400000000 --ulimit memlock=0:0 --ulimit rss=1000:2000 --ulimit sigpending=0:0 --ulimit msgqueue=1000:1000 --ulimit locks=5:6 --ulimit fsize=3000:4000 --ulimit cpu=1:3 $BB sh -c 'cat /proc/self/limits; dd if=/dev/zero of=/dev/null bs=512M count=1 2>/dev/null; echo $?; head -c 5000 /dev/zero >/file; echo $?; wc -c </file; sh -c "while :; do :; done"; echo $?; trap "echo signal" USR1; kill -USR1 $$; sleep 0'`,
  },
  {
    title: "--ulimit that the host does not allow",
    script: `run --rm --ulimit memlock=1000000000000 $BB true`,
  },
  {
    title: "--device",
    script: `run --rm --device /dev/zero:/dev/nought:r $BB sh -c 'ls -l /dev/nought | cut -c1-10; head -c 3 /dev/nought | od -An -tx1; echo x > /dev/nought'; run --rm $BB sh -c 'mknod /dev/m c 1 1; head -c 1 /dev/m'`,
  },
  {
    title: "--device-cgroup-rule",
    lacks: { nerdctl: "no such flag" },
    script: `run --rm --device-cgroup-rule 'c 1:5 r' $BB sh -c 'mknod /dev/z c 1 5; head -c 2 /dev/z | od -An -tx1; echo x > /dev/z'`,
  },
  {
    title: "--hostname and --domainname",
    script: `run --rm --hostname inside $BB sh -c 'hostname; cat /etc/hostname; grep -c inside /etc/hosts'`,
  },
  { title: "--uts host", script: `test "$(run --rm --uts host $BB hostname)" = "$(hostname)"; echo $?` },
  {
    title: "--pid host",
    quick: true,
    script: `run --rm --pid host $BB sh -c 'test $$ -ne 1; echo $?; tr "\\0" " " < /proc/1/cmdline | head -c 5 | wc -c; kill -0 1; echo $?'`,
  },
  {
    title: "--pid container:",
    quick: true,
    script: `up --name $N $BB sh -c 'sleep 333; true'; until_ok c exec $N pidof sleep >/dev/null; run --rm --pid container:$N $BB sh -c 'ps -o args | grep -E "^sh|sleep" | grep -v grep | sort | head -n 5; kill -TERM $(pidof sleep)'; c wait $N`,
  },
  {
    title: "--pid host: a container's end ends what it started",
    script: `run --rm --pid host $BB sh -c 'sleep 4321 & echo end'; sleep 0.5; ps -eo args | grep -c '^sleep 4321'`,
  },
  {
    title: "--ipc host, --ipc container:, --ipc none",
    script: `up --ipc shareable --name $N $DEB sh -c 'ipcmk -M 4096 >/dev/null; echo shared > /dev/shm/f; sleep 100'; sleep 1; run --rm --ipc container:$N $DEB sh -c 'cat /dev/shm/f; ipcs -m | grep -c 4096'; run --rm $DEB sh -c 'ls /dev/shm; ipcs -m | grep -c 4096'`,
  },
  {
    title: "--ipc host",
    lacks: { nerdctl: "it wants the host to have /dev/mqueue, which the machine of this run has not" },
    script: `run --rm --ipc host $BB readlink /proc/self/ns/ipc > $D/a; readlink /proc/self/ns/ipc | diff - $D/a; echo $?`,
  },
  {
    title: "--shm-size",
    script: `run --rm --shm-size 8m $BB sh -c 'df -k /dev/shm | tail -n 1 | awk "{print \\$2}"; head -c 9000000 /dev/zero > /dev/shm/f; ls -l /dev/shm/f | awk "{print \\$5}"'`,
  },
  {
    title: "--cgroup-parent",
    script: `up --cgroup-parent /tine-test-parent --name $N $BB sleep 100; p=$(c inspect -f '{{.State.Pid}}' $N); sed -n 's/.*:pids:\\(.*\\)/\\1/p' /proc/$p/cgroup | sed 's/[0-9a-f]\\{64\\}/ID/'`,
  },
  {
    title: "--cgroupns private and host",
    script: `run --rm --cgroupns private $BB sh -c 'grep pids /proc/self/cgroup | sed "s/^[0-9]*//"'; run --rm --cgroupns host $BB sh -c 'grep pids /proc/self/cgroup | sed "s/^[0-9]*//; s/[0-9a-f]\\{64\\}/ID/"'`,
  },
  {
    title: "--sysctl",
    script: `run --rm --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=9999 $BB cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax`,
  },
  { title: "--oom-score-adj", script: `run --rm --oom-score-adj 500 $BB cat /proc/self/oom_score_adj` },
  { title: "--gpus", script: `run --rm --gpus all $BB true` },
  {
    title: "masked and read-only paths",
    script: `run --rm $BB sh -c 'head -c 1 /proc/kcore | wc -c; ls /proc/acpi /sys/firmware 2>&1 | wc -l; echo 1 > /proc/sys/kernel/sysrq; echo $?'`,
  },
  {
    title: "mounts of a container",
    script: `run --rm $BB sh -c 'awk "{print \\$2, \\$3, \\$4}" /proc/mounts | grep -v "^/ " | sed "s/size=[0-9]*k//" | sort'`,
  },
];
