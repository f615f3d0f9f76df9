import type { Case } from "./case.js";

const clients = ["crictl"] as const;

const resources = (text: string): string => `{"linux":{"resources":{${text}}}}`;

/**
 * Pods. `pod [JSON]` makes one, `container NAME JSON COMMAND…` a container that runs in it, both with what the
 * JSON says beside names and images; `id NAME` is its identifier, `state NAME` how it ended.
 */
export const pods: readonly Case[] = [
  {
    title: "a pod and a container: output, state, log",
    clients,
    script: `pod; container one '{}' sh -c 'echo out; echo err >&2; exit 5'; until_ended one; state one; c logs $(id one) 2>/dev/null; c logs $(id one) 2>&1 >/dev/null`,
  },
  {
    title: "one network, one host name",
    clients,
    script: `pod '{"hostname":"inside"}'; container server '{}' sh -c 'while :; do echo from the server | nc -l -p 80; done'; container one '{}' sh -c 'sleep 0.5; hostname; nc 127.0.0.1 80 < /dev/null; ls /sys/class/net'; until_ended one; c logs $(id one)`,
  },
  {
    title: "one IPC namespace and /dev/shm",
    clients,
    script: `pod; container one '{"image":{"image":"'$DEB'"}}' sh -c 'ipcmk -M 4096 > /dev/null; echo shared > /dev/shm/f; sleep 100'; sleep 1; container two '{"image":{"image":"'$DEB'"}}' sh -c 'cat /dev/shm/f; ipcs -m | grep -c 4096'; until_ended two; c logs $(id two)`,
  },
  {
    title: "process namespaces of their own",
    clients,
    script: `pod; container one '{}' sh -c 'sleep 100; true'; container two '{}' sh -c 'ps -o comm | grep -c sleep; ps -o pid,comm | grep -c "^ *1 sh"'; until_ended two; c logs $(id two)`,
  },
  {
    title: "one process namespace",
    clients,
    script: `pod '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}'; container one '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}' sh -c 'sleep 4321; echo killed'; sleep 0.5; container two '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}' sh -c 'test $$ -ne 1; echo $?; ps -o args | grep -v grep | grep -c "^sleep 4321"; kill -TERM $(pidof -s sleep | tail -n 1); echo $?'; until_ended two; c logs $(id two)`,
  },
  {
    title: "a container's end, with a shared process namespace, ends what it started",
    clients,
    script: `pod '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}'; container one '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}' sh -c 'sleep 4322 & sleep 0.5'; until_ended one; sleep 0.5; container two '{"linux":{"security_context":{"namespace_options":{"pid":0}}}}' sh -c 'ps -o args | grep -v grep | grep -c "sleep 4322"'; until_ended two; c logs $(id two)`,
  },
  {
    title: "the host's network and processes",
    clients,
    script: `pod '{"linux":{"security_context":{"namespace_options":{"network":2,"pid":2}}}}'; container one '{"linux":{"security_context":{"namespace_options":{"network":2,"pid":2}}}}' sh -c 'readlink /proc/self/ns/net; test $$ -gt 2; echo $?'; until_ended one; test "$(c logs $(id one) | head -n 1)" = "$(readlink /proc/self/ns/net)"; echo $?; c logs $(id one) | tail -n 1`,
  },
  {
    title: "exec: output, status, a program that is not there",
    clients,
    script: `pod; container one '{}' sleep 100; c exec -s $(id one) sh -c 'echo out; echo err >&2'; c exec -s $(id one) sh -c 'exit 3' 2>/dev/null; echo $?; c exec -s $(id one) nope 2>&1 | grep -c 'executable file not found'; c exec $(id one) echo streamed; printf given | c exec -i $(id one) tr a-z A-Z`,
  },
  {
    title: "exec that takes too long",
    clients,
    script: `pod; container one '{}' sleep 100; c exec -s --timeout 1 $(id one) sleep 50 2>/dev/null; echo $?; c exec -s $(id one) ps -o args | grep -c 'sleep 50'`,
  },
  {
    title: "exec -it",
    clients,
    script: `pod; container one '{}' sleep 100; terminal c exec -it $(id one) sh -c 'sleep 0.5; tty; stty size; exit 0'`,
  },
  {
    title: "attach",
    clients,
    script: `pod; container one '{"stdin":true,"stdin_once":true}' sh -c 'while read x; do echo got $x; done; exit 4'; typed 1 'one\\n' | timeout 20 c attach -i $(id one); until_ended one; state one`,
  },
  {
    title: "port-forward",
    clients,
    script: `pod; container one '{}' sh -c 'while :; do echo forwarded | nc -l -p 80; done'; timeout 10 c port-forward $(id pod) 18081:80 >/dev/null 2>&1 & until_ok bash -c 'timeout 2 cat < /dev/tcp/127.0.0.1/18081 2>/dev/null | grep forwarded' 2>/dev/null; kill %1; wait`,
  },
  {
    title: "limits: memory, CPUs",
    clients,
    script: `pod; container one '${resources('"memory_limit_in_bytes":67108864,"cpu_quota":50000,"cpu_period":100000,"cpu_shares":512')}' sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares 2>/dev/null || cat memory.max cpu.max cpu.weight'; until_ended one; c logs $(id one)`,
  },
  {
    title: "an OOM kill is the reason given",
    clients,
    script: `pod; container one '{"image":{"image":"'$DEB'"},"linux":{"resources":{"memory_limit_in_bytes":67108864}}}' python3 -c 'x = bytearray(200 << 20)'; until_ended one; sleep 0.5; state one`,
  },
  {
    title: "update",
    clients,
    script: `pod; container one '${resources('"memory_limit_in_bytes":67108864')}' sleep 100; c update --memory 33554432 $(id one) >/dev/null; c exec -s $(id one) sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'`,
  },
  {
    title: "user, groups, capabilities, read-only root, no new privileges",
    clients,
    script: `pod; container one '{"linux":{"security_context":{"run_as_user":{"value":1000},"run_as_group":{"value":2000},"supplemental_groups":[3000],"readonly_rootfs":true,"no_new_privs":true,"capabilities":{"drop_capabilities":["ALL"],"add_capabilities":["NET_BIND_SERVICE"]}}}}' sh -c 'id; grep -E "^(Cap|NoNew)" /proc/self/status; touch /x 2>/dev/null; echo $?'; until_ended one; c logs $(id one) 2>&1`,
  },
  {
    title: "a privileged container in a privileged pod",
    clients,
    script: `pod '{"linux":{"security_context":{"privileged":true}}}'; container one '{"linux":{"security_context":{"privileged":true}}}' sh -c 'grep CapEff /proc/self/status; mount -t tmpfs none /tmp; echo $?'; until_ended one; c logs $(id one)`,
  },
  {
    title: "seccomp: the runtime's default profile",
    clients,
    script: `pod; container one '{"image":{"image":"'$DEB'"},"linux":{"security_context":{"seccomp":{"profile_type":0}}}}' sh -c 'grep ^Seccomp: /proc/self/status; unshare -U true 2>/dev/null; echo $?'; until_ended one; c logs $(id one) 2>&1`,
  },
  {
    title: "seccomp: a profile of the host's, and none",
    clients,
    script: `echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' > $D/profile.json; pod; container one '{"linux":{"security_context":{"seccomp":{"profile_type":2,"localhost_ref":"'$D'/profile.json"}}}}' sh -c 'mkdir /made; echo $?; touch /file; echo $?'; until_ended one; c logs $(id one) 2>&1; container two '{"linux":{"security_context":{"seccomp":{"profile_type":1}}}}' grep ^Seccomp: /proc/self/status; until_ended two; c logs $(id two); container three '{"linux":{"security_context":{"seccomp":{"profile_type":2,"localhost_ref":"'$D'/missing.json"}}}}' true 2>/dev/null; echo $?`,
  },
  {
    title: "sysctls, DNS",
    clients,
    script: `pod '{"linux":{"sysctls":{"net.core.somaxconn":"77","kernel.shm_rmid_forced":"1"}},"dns_config":{"servers":["192.0.2.1"],"searches":["a.example"],"options":["ndots:3"]}}'; container one '{}' cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shm_rmid_forced /etc/resolv.conf; until_ended one; c logs $(id one)`,
  },
  {
    title: "environment, working folder, a device, a user by name",
    clients,
    script: `pod; container one '{"envs":[{"key":"A","value":"1 2"}],"working_dir":"/tmp","devices":[{"container_path":"/dev/mine","host_path":"/dev/zero","permissions":"r"}],"linux":{"security_context":{"run_as_username":"nobody"}}}' sh -c 'echo "$A"; pwd; id; head -c 3 /dev/mine | wc -c; (echo >/dev/mine) 2>&1'; until_ended one; c logs $(id one) 2>&1`,
  },
  {
    title: "the score for the OOM killer, CPUs to run on",
    clients,
    script: `pod; container one '${resources('"oom_score_adj":500,"cpuset_cpus":"1","cpuset_mems":"0"')}' sh -c 'cat /proc/self/oom_score_adj; nproc; grep Cpus_allowed_list /proc/self/status'; until_ended one; c logs $(id one)`,
  },
  {
    title: "the log is opened again",
    clients,
    script: `pod; container one '{}' sh -c 'while :; do echo line; sleep 0.1; done'; until_ok grep -q line $D/one.log; mv $D/one.log $D/one.old; timeout 20 c logs --reopen $(id one) >/dev/null; echo $?; until_ok grep -q line $D/one.log && echo goes on; c logs --tail 1 $(id one)`,
  },
  {
    title: "a mount of the host that is read-only with all that is below it",
    clients,
    script: `mkdir -p $D/m/sub; mount -t tmpfs none $D/m/sub; pod; for r in true false; do container c$r '{"mounts":[{"container_path":"/m","host_path":"'$D'/m","readonly":true,"recursive_read_only":'$r'}]}' sh -c 'touch /m/x; touch /m/sub/x; echo $?'; until_ended c$r; c logs $(id c$r) 2>&1; done; umount $D/m/sub`,
  },
  {
    title: "mount propagation: to the container, and both ways",
    clients,
    script: `mkdir $D/m; mount -t tmpfs none $D/m; mount --make-shared $D/m
mounted() { mkdir $D/m/$1; mount -t tmpfs none $D/m/$1; touch $D/m/$1/file; }
pod '{"linux":{"security_context":{"privileged":true}}}'
for p in 0 1 2; do container c$p '{"mounts":[{"container_path":"/m","host_path":"'$D'/m","propagation":'$p'}],"linux":{"security_context":{"privileged":true}}}' sleep 100; mounted sub$p; c exec -s $(id c$p) ls /m/sub$p; c exec -s $(id c$p) sh -c "mkdir /m/in$p; mount -t tmpfs none /m/in$p; touch /m/in$p/file"; ls $D/m/in$p; done
c rmp -f $(id pod) >/dev/null; umount -R $D/m`,
  },
  {
    title: "checkpoint, where there is no CRIU",
    clients,
    script: `pod; container one '{}' sleep 100; c checkpoint --export $D/saved.tar $(id one) >/dev/null 2>&1; echo $?; state one; c exec -s $(id one) echo still`,
  },
  {
    title: "mounts of the host, read-only and not",
    clients,
    script: `echo given > $D/given; pod; container one '{"mounts":[{"container_path":"/data","host_path":"'$D'"},{"container_path":"/ro","host_path":"'$D'","readonly":true}]}' sh -c 'cat /data/given; echo made > /data/made; touch /ro/x'; until_ended one; c logs $(id one) 2>&1 | sort; cat $D/made`,
  },
  {
    title: "stop: SIGTERM, then SIGKILL",
    clients,
    script: `pod; container one '{}' sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'; container two '{}' sh -c 'trap "" TERM; while :; do sleep 0.1; done'; sleep 0.7; c stop -t 5 $(id one) >/dev/null; state one; c stop -t 1 $(id two) >/dev/null; state two`,
  },
  {
    title: "a container again, after its end",
    clients,
    script: `pod; container one '{}' sh -c 'exit 1'; until_ended one; container again '{"metadata":{"name":"one","attempt":1}}' sh -c 'echo again; sleep 100'; sleep 0.5; c logs $(id again); c ps -q | wc -l; c ps -aq | wc -l`,
  },
  {
    title: "stats",
    clients,
    script: `pod; container one '{}' sleep 100; sleep 0.5; c stats -o json $(id one) | node -e 'const { stats } = JSON.parse(require("fs").readFileSync(0)); for (const s of stats) console.log(Number(s.memory.workingSetBytes.value) > 0, Number(s.cpu.usageCoreNanoSeconds.value) > 0, s.attributes.metadata.name)'`,
  },
  {
    title: "states of the pod and its containers",
    clients,
    script: `pod; container one '{}' sleep 100; c pods -o json | node -e 'for (const p of JSON.parse(require("fs").readFileSync(0)).items) console.log(p.state, p.metadata.name)'; c stopp $(id pod) >/dev/null; state one; c pods -o json | node -e 'for (const p of JSON.parse(require("fs").readFileSync(0)).items) console.log(p.state)'; c rmp $(id pod) >/dev/null; c ps -aq | wc -l`,
  },
  {
    title: "one shim a pod",
    clients,
    script: `pod; container one '{}' sleep 100; container two '{}' sleep 100; grep -azlE "^$(id pod)" /proc/[0-9]*/cmdline 2>/dev/null | sed 's/cmdline/exe/' | xargs -n 1 readlink | grep -cE 'shim|node'`,
  },
];
