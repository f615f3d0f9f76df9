import type { Case } from "./case.js";

const clients = ["kubectl"] as const;
const limit = 120_000;

/**
 * Pods of a Kubernetes. `pod NAME SPEC` makes one that is not started again, with what the YAML adds to its
 * specification; `started NAME` and `ended NAME` wait for it, `state NAME` says how its containers are; `made OBJECT…`
 * applies objects with standard input as theirs.
 */
export const kubernetes: readonly Case[] = [
  {
    title: "a pod: output, state, log",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sh, -c, 'echo out; echo err >&2; exit 5']}]"; ended p; state p; c logs p | sort`,
  },
  {
    title: "a program that is not there",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [/nope]}]"; ended p; state p; c get pod p -o jsonpath='{.status.containerStatuses[0].state.terminated.message}' | grep -c 'no such file or directory'`,
  },
  {
    title: "logs -f, and of the container before",
    clients,
    limit,
    script: `pod p "restartPolicy: OnFailure, volumes: [{name: v, emptyDir: {}}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'if [ -e /v/f ]; then sleep 5; echo second; else echo first; touch /v/f; exit 3; fi']}]"; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].restartCount} | grep -q 1'; started p; c logs --previous p; timeout 20 c logs -f p; ended p; state p`,
  },
  {
    title: "exec: output, status, standard input",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sleep, '1000']}]"; started p; c exec p -- sh -c 'echo out; echo err >&2; exit 3'; echo $?; printf given | c exec -i p -- tr a-z A-Z; c exec p -- nope 2>&1 | grep -c 'executable file not found'; head -c 5000000 /dev/zero | c exec -i p -- sh -c 'cat' | wc -c`,
  },
  {
    title: "exec -it: a terminal with its size",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sleep, '1000']}]"; started p; terminal c exec -it p -- sh -c 'sleep 1; tty; stty size; exit 0'`,
  },
  {
    title: "attach",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, stdin: true, stdinOnce: true, command: [sh, -c, 'while read x; do echo got \\$x; done; exit 4']}]"; started p; typed 1.5 'one\\n' | timeout 20 c attach -qi p; ended p; state p`,
  },
  {
    title: "port-forward",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sh, -c, 'while :; do echo forwarded | nc -l -p 80; done']}]"; started p; timeout 15 c port-forward p 18082:80 >/dev/null 2>&1 & until_ok bash -c 'timeout 2 cat < /dev/tcp/127.0.0.1/18082 2>/dev/null | grep forwarded' 2>/dev/null; kill %1; wait`,
  },
  {
    title: "cp in and out",
    clients,
    limit,
    script: `mkdir $D/in; head -c 3000000 /dev/urandom > $D/in/f; chmod 640 $D/in/f; pod p "containers: [{name: one, image: $BB, command: [sleep, '1000']}]"; started p; c cp $D/in p:/in; c exec p -- stat -c '%a %s' /in/f; c cp p:/in $D/out >/dev/null 2>&1; cmp $D/in/f $D/out/f; echo $?`,
  },
  {
    title: "init containers, one after the other",
    clients,
    limit,
    script: `pod p "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: a, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'sleep 0.5; echo a >> /v/f']}, {name: b, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'echo b >> /v/f']}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [cat, /v/f]}]"; ended p; state p; c logs p`,
  },
  {
    title: "a sidecar: there before, ended after",
    clients,
    limit,
    script: `pod p "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: side, image: $BB, restartPolicy: Always, startupProbe: {exec: {command: [test, -e, /v/up]}, periodSeconds: 1}, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'trap \\"echo ended; exit 0\\" TERM; sleep 1; echo up > /v/up; echo serving; while :; do sleep 0.1; done']}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'cat /v/up; sleep 1']}]"; ended p; state p; c logs p -c one; c logs p -c side; c get pod p -o jsonpath='{.status.initContainerStatuses[0].state.terminated.exitCode}'`,
  },
  {
    title: "two containers: one network, one host name, processes of their own",
    clients,
    limit,
    script: `pod p "hostname: inside, containers: [{name: server, image: $BB, command: [sh, -c, 'while :; do hostname | nc -l -p 80; done']}, {name: one, image: $BB, command: [sh, -c, 'sleep 1; hostname; nc 127.0.0.1 80 < /dev/null; ps -o args | grep -c [n]c.-l; sleep 1000']}]"; started p; sleep 2; c logs p -c one`,
  },
  {
    title: "shareProcessNamespace",
    clients,
    limit,
    script: `pod p "shareProcessNamespace: true, containers: [{name: a, image: $BB, command: [sleep, '4323']}, {name: one, image: $BB, command: [sh, -c, 'sleep 1; ps -o args | grep -c ^sleep.4323; kill \\$(pidof sleep); echo \\$?; sleep 1000']}]"; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].state} | grep -q terminated'; c logs p -c one; state p`,
  },
  {
    title: "an ephemeral container that looks at another's processes (debug --target)",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sleep, '4324']}]"; started p; c debug p --image=$BB --target=one -c look -q -- sh -c 'ps -o args | grep ^sleep; exit 6' >/dev/null; until_ok sh -c 'c get pod p -o jsonpath={.status.ephemeralContainerStatuses[0].state} | grep -q terminated'; c logs p -c look; c get pod p -o jsonpath='{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}'`,
  },
  {
    title: "the host's network and processes",
    clients,
    limit,
    script: `pod p "hostNetwork: true, hostPID: true, containers: [{name: one, image: $BB, command: [sh, -c, 'ls /sys/class/net | grep -c tine-node; ps -o args | grep -c [k]ubelet.--config']}]"; ended p; c logs p; c get pod p -o jsonpath='{.status.podIP}'`,
  },
  {
    title: "the environment, ConfigMaps, Secrets, what a pod knows of itself",
    clients,
    limit,
    script: `printf '%s\\n---\\n' '{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {k: mapped, file: in a file}}' '{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {key: hidden}}' | made; pod p "volumes: [{name: m, configMap: {name: m}}, {name: s, secret: {secretName: s, defaultMode: 256}}, {name: i, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}], containers: [{name: one, image: $BB, env: [{name: A, value: given}, {name: B, valueFrom: {configMapKeyRef: {name: m, key: k}}}, {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], volumeMounts: [{name: m, mountPath: /m}, {name: s, mountPath: /s}, {name: i, mountPath: /i}], command: [sh, -c, 'exec 2>&1; echo \\$A \\$B \\$C; cat /m/file; echo; cat /s/key; echo; stat -Lc %a /s/key; cat /i/labels; echo; touch /m/x']}]"; ended p; c logs p; state p`,
  },
  {
    title: "volumes of the host, parts of volumes, in memory",
    clients,
    limit,
    script: `mkdir $D/part; echo given > $D/part/f; pod p "volumes: [{name: h, hostPath: {path: $D}}, {name: t, emptyDir: {medium: Memory, sizeLimit: 4Mi}}], containers: [{name: one, image: $BB, volumeMounts: [{name: h, mountPath: /h}, {name: h, mountPath: /p, subPath: part, readOnly: true}, {name: t, mountPath: /t}], command: [sh, -c, 'exec 2>&1; cat /h/part/f /p/f; touch /p/x; echo made > /h/made; df /t | tail -n 1 | while read a b c; do echo \\$b; done; head -c 5000000 /dev/zero > /t/f; echo \\$?']}]"; ended p; c logs p; cat $D/made`,
  },
  {
    title: "user, groups, capabilities, read-only root, seccomp, privileged",
    clients,
    limit,
    script: `pod p "securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000], seccompProfile: {type: RuntimeDefault}}, volumes: [{name: v, emptyDir: {}}], containers: [{name: one, image: $DEB, securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'exec 2>&1; id; grep -E \\"^(Cap|NoNew|Seccomp:)\\" /proc/self/status; touch /x; touch /v/x; stat -c \\"%u %g\\" /v/x; unshare -U true; echo \\$?']}]"; pod q "containers: [{name: one, image: $BB, securityContext: {privileged: true}, command: [sh, -c, 'exec 2>&1; grep CapEff /proc/self/status; mount -t tmpfs none /tmp; echo \\$?']}]"; ended p; ended q; c logs p; c logs q`,
  },
  {
    title: "liveness: started again when it fails",
    clients,
    limit,
    script: `pod p "restartPolicy: Always, terminationGracePeriodSeconds: 1, containers: [{name: one, image: $BB, livenessProbe: {exec: {command: [sh, -c, '! test -e /tmp/ill']}, periodSeconds: 1, failureThreshold: 2}, command: [sh, -c, 'echo up; sleep 2; touch /tmp/ill; sleep 1000']}]"; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].restartCount} | grep -q 1'; c get pod p -o jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'; c logs p --previous; c get events --field-selector reason=Unhealthy -o name | grep -c .`,
  },
  {
    title: "readiness by HTTP, start by TCP, a Service's addresses",
    clients,
    limit,
    script: `made <<< "{apiVersion: v1, kind: Service, metadata: {name: p}, spec: {selector: {app: p}, ports: [{port: 80}]}}"; pod p "containers: [{name: one, image: $BB, startupProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 30}, readinessProbe: {httpGet: {port: 80, path: /ready}, periodSeconds: 1, failureThreshold: 1}, command: [sh, -c, 'mkdir /www; sleep 1; httpd -h /www -p 80; sleep 1000']}]"; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].started} | grep -q true'; sleep 1.5; ready() { c get pod p -o jsonpath='{.status.containerStatuses[0].ready} '; c get endpointslices -l kubernetes.io/service-name=p -o jsonpath='{.items[0].endpoints[*].conditions.ready}'; echo; }; ready; c exec p -- touch /www/ready; started p; sleep 1; ready; c exec p -- rm /www/ready; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].ready} | grep -q false'; sleep 1; ready`,
  },
  {
    title: "limits: memory, CPUs, read inside",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, resources: {limits: {memory: 64Mi, cpu: 500m}}, command: [sh, -c, 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares 2>/dev/null || cat memory.max cpu.max cpu.weight']}]"; ended p; c logs p; c get pod p -o jsonpath='{.status.qosClass}'`,
  },
  {
    title: "OOMKilled, and started again",
    clients,
    limit,
    script: `pod p "restartPolicy: OnFailure, containers: [{name: one, image: $DEB, resources: {limits: {memory: 64Mi}}, command: [python3, -c, 'x = bytearray(200 << 20)']}, {name: two, image: $BB, command: [sleep, '1000']}]"; until_ok sh -c 'c get pod p -o jsonpath={.status.containerStatuses[0].restartCount} | grep -q 1'; c get pod p -o jsonpath='{.status.containerStatuses[0].lastState.terminated.reason} {.status.containerStatuses[0].lastState.terminated.exitCode} {.status.containerStatuses[1].restartCount}'`,
  },
  {
    title: "resources changed while it runs (resize)",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, resources: {limits: {memory: 64Mi, cpu: 500m}}, command: [sleep, '1000']}]"; started p; c patch pod p --subresource resize -p '{"spec":{"containers":[{"name":"one","resources":{"limits":{"memory":"96Mi","cpu":"250m"}}}]}}'; look() { c exec p -- sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us 2>/dev/null || cat memory.max cpu.max'; }; until_ok sh -c "c exec p -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max' | grep -q 100663296"; sleep 1; look; c get pod p -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].resources.limits.memory}'`,
  },
  {
    title: "graceful termination: preStop, SIGTERM, the grace period, SIGKILL",
    clients,
    limit,
    script: `pod p "terminationGracePeriodSeconds: 8, containers: [{name: one, image: $BB, lifecycle: {postStart: {exec: {command: [sh, -c, 'echo started >> /h/f']}}, preStop: {exec: {command: [sh, -c, 'sleep 1; echo stopping >> /h/f']}}}, volumeMounts: [{name: h, mountPath: /h}], command: [sh, -c, 'trap \\"echo told >> /h/f; exit 0\\" TERM; while :; do sleep 0.1; done']}], volumes: [{name: h, hostPath: {path: $D}}]"; pod q "terminationGracePeriodSeconds: 2, containers: [{name: one, image: $BB, command: [sh, -c, 'trap \\"\\" TERM; while :; do sleep 0.1; done']}]"; started p; started q; c delete pod p; cat $D/f; began=$SECONDS; c delete pod q; took=$((SECONDS - began)); [ $took -ge 2 ] && [ $took -lt 15 ]; echo $?`,
  },
  {
    title: "a deadline (activeDeadlineSeconds)",
    clients,
    limit,
    script: `pod p "activeDeadlineSeconds: 3, containers: [{name: one, image: $BB, command: [sh, -c, 'trap \\"exit 9\\" TERM; while :; do sleep 0.1; done']}]"; ended p; c get pod p -o jsonpath='{.status.phase} {.status.reason}'`,
  },
  {
    title: "eviction of one that fills its volume, and of one that fills its root",
    clients,
    limit: 180_000,
    script: `pod p "volumes: [{name: v, emptyDir: {sizeLimit: 5Mi}}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'head -c 20000000 /dev/zero > /v/f; sleep 1000']}]"; pod q "containers: [{name: one, image: $BB, resources: {limits: {ephemeral-storage: 5Mi}}, command: [sh, -c, 'head -c 20000000 /dev/zero > /f; sleep 1000']}]"; for p in p q; do for i in 1 2 3 4; do until_ok sh -c "c get pod $p -o jsonpath={.status.phase}.{.status.containerStatuses[0].state.terminated.exitCode} | grep -q Failed.1" && break; done; c get pod $p -o jsonpath='{.status.phase} {.status.reason} {.status.containerStatuses[0].state.terminated.exitCode} '; c get pod $p -o jsonpath='{.status.message}' | grep -c 'exceed'; done`,
  },
  {
    title: "a drained node's pods are asked to go",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sh, -c, 'trap \\"exit 0\\" TERM; while :; do sleep 0.1; done']}]"; started p; c drain --all --force --ignore-daemonsets --delete-emptydir-data 2>&1 | grep -c evicted; c get pods -o name | wc -l; c uncordon --all >/dev/null`,
  },
  {
    title: "a Job that succeeds at its third try",
    clients,
    limit,
    script: `made <<< "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {backoffLimit: 4, template: {spec: {runtimeClassName: $R, restartPolicy: OnFailure, volumes: [{name: v, emptyDir: {}}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'echo x >> /v/f; test \\$(wc -l < /v/f) -ge 3']}]}}}}"; c wait --for=condition=complete job/j --timeout=90s; c get job j -o jsonpath='{.status.succeeded}'; c get pods -l job-name=j -o jsonpath='{.items[0].status.containerStatuses[0].restartCount}'`,
  },
  {
    title: "a Deployment: 20 pods, scaled down and up, new ones for old",
    clients,
    limit: 300_000,
    script: `made <<< "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 2, selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {runtimeClassName: $R, terminationGracePeriodSeconds: 1, containers: [{name: one, image: $BB, env: [{name: V, value: first}], readinessProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1}, command: [sh, -c, 'touch /tmp/up; exec sleep 1000']}]}}}}"; c rollout status deployment d --timeout=60s | tail -n 1; count() { c get deployment d -o jsonpath='{.status.readyReplicas} '; c get pods -l app=d -o jsonpath='{range .items[*]}{.status.podIP}{"\\n"}{end}' | sort -u | wc -l; }; c scale deployment d --replicas=20; c rollout status deployment d --timeout=200s | tail -n 1; count; c scale deployment d --replicas=3; until_ok sh -c 'test $(c get pods -l app=d -o name | wc -l) = 3'; count; c set env deployment/d V=second; c rollout status deployment d --timeout=60s | tail -n 1; until_ok sh -c 'test $(c get pods -l app=d -o name | wc -l) = 3'; c get pods -l app=d -o jsonpath='{.items[*].spec.containers[0].env[0].value}'`,
  },
  {
    title: "a DaemonSet and a StatefulSet",
    clients,
    limit,
    script: `printf '%s\\n---\\n' "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: e}, spec: {selector: {matchLabels: {app: e}}, template: {metadata: {labels: {app: e}}, spec: {runtimeClassName: $R, terminationGracePeriodSeconds: 1, containers: [{name: one, image: $BB, command: [sleep, '1000']}]}}}}" "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: t}, spec: {replicas: 2, serviceName: t, selector: {matchLabels: {app: t}}, template: {metadata: {labels: {app: t}}, spec: {runtimeClassName: $R, terminationGracePeriodSeconds: 1, containers: [{name: one, image: $BB, command: [sh, -c, 'hostname; sleep 1000']}]}}}}" | made; c rollout status daemonset e --timeout=60s | tail -n 1; c rollout status statefulset t --timeout=60s | tail -n 1; c logs t-0; c logs t-1`,
  },
  {
    title: "what pods use (the kubelet's summary)",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sh, -c, 'while :; do :; done'], resources: {limits: {cpu: 200m}}}]"; started p; uses() { c get --raw /api/v1/nodes/tine-node/proxy/stats/summary | node -e 'for (const { podRef, containers, network } of JSON.parse(require("fs").readFileSync(0)).pods) if (podRef.name === "p") console.log(containers[0].name, containers[0].cpu.usageCoreNanoSeconds > 100e6, containers[0].memory.workingSetBytes > 0, containers[0].rootfs.usedBytes > 0)'; }; export -f uses; until_ok bash -c 'uses | grep -q true.true.true'; uses`,
  },
  {
    title: "the RuntimeClass's overhead is the pod's",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, resources: {limits: {memory: 64Mi, cpu: 500m}}, command: [sleep, '1000']}]"; started p; c get pod p -o jsonpath='{.spec.overhead.memory} {.spec.overhead.cpu} {.spec.nodeSelector} '; uid=$(c get pod p -o jsonpath='{.metadata.uid}'); cat $(find /sys/fs/cgroup -path "*tine-pods-*/pod$uid/memory.limit_in_bytes" -o -path "*tine-pods-*/pod$uid/memory.max")`,
  },
  {
    title: "one shim a pod",
    clients,
    limit,
    script: `pod p "containers: [{name: one, image: $BB, command: [sleep, '1000']}, {name: two, image: $BB, command: [sleep, '1000']}]"; started p; grep -azlE "^$(sandbox p)" /proc/[0-9]*/cmdline 2>/dev/null | sed 's/cmdline/exe/' | xargs -n 1 readlink | grep -cE 'shim|node'`,
  },
];
