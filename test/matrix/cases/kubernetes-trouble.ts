import type { Case } from "./case.js";

const clients = ["kubectl"] as const;

/**
 * Pods that live through the end of a daemon and its return: `p` runs on, `q` ends meanwhile, `r` ends and is to be
 * started again, `s` has a probe.
 */
const through = (down: string, back: string): string => `
  one() { echo "containers: [{name: one, image: $BB, command: [sh, -c, '$1']$2}]"; }
  file="volumes: [{name: h, hostPath: {path: $D}}]"; mount=", volumeMounts: [{name: h, mountPath: /h}]"
  pod p "$(one 'trap "echo told; exit 7" TERM; echo up; while :; do sleep 0.1; done')"
  pod q "$file, $(one 'echo up; until [ -e /h/end ]; do sleep 0.1; done; echo last words; exit 9' "$mount")"
  pod r "$file, restartPolicy: OnFailure, $(one 'if [ -e /h/end ]; then echo again; sleep 1000; fi; until [ -e /h/end ]; do sleep 0.1; done; exit 3' "$mount")"
  pod s "restartPolicy: Always, $(one 'sleep 1000' ', livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1, failureThreshold: 2}')"
  for name in p q r s; do started $name; done
  id() { c get pod $1 -o jsonpath='{.status.containerStatuses[0].containerID}'; }
  ip() { c get pod p -o jsonpath='{.status.podIP}'; }
  before="$(id p) $(id s) $(ip)"
  trouble ${down}; touch $D/end; sleep 2; trouble ${back}
  ended q; state q; c logs q
  for i in 1 2 3; do until_ok sh -c 'c logs r 2>/dev/null | grep -q again' && break; done; c get pod r -o jsonpath='{.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode}{"\\n"}'
  until_ok sh -c 'c exec p -- true 2>/dev/null'; c exec p -- sh -c 'echo still here; echo errors >&2; exit 6'; echo $?
  [ "$before" = "$(id p) $(id s) $(ip)" ] && echo the same containers
  sleep 3; state p; state s; c logs p
  pod t "$(one 'echo new; exit 4')"; ended t; state t; c logs t
  (timeout 20 c logs -f p | tail -n 1) & c delete pod p s r >/dev/null; wait; c get pods -o name | wc -l`;

/** The node's daemons end below running pods; the node's disk is full. */
export const kubernetesTrouble: readonly Case[] = [
  {
    title: "the kubelet is killed and starts again: pods run on, ends are found, exec and logs go on",
    clients,
    limit: 240_000,
    script: through("kubelet-down", "kubelet-back"),
  },
  {
    title: "containerd is killed and starts again: pods run on, ends are found, exec and logs go on",
    clients,
    limit: 240_000,
    script: through("down", "back"),
  },
  {
    title: "the node is short of disk: pods are evicted until it is not, and new ones run",
    clients,
    limit: 240_000,
    script: `
  pod p "containers: [{name: one, image: $BB, command: [sleep, '1000']}]"; started p
  pod q "volumes: [{name: v, emptyDir: {}}], containers: [{name: one, image: $BB, volumeMounts: [{name: v, mountPath: /v}], command: [sh, -c, 'trap \\"exit 8\\" TERM; head -c 250000000 /dev/zero > /v/f; while :; do sleep 0.1; done']}]"
  for i in 1 2; do until_ok sh -c 'c get pod q -o jsonpath={.status.phase} | grep -q Failed' && break; done
  c get pod q -o jsonpath='{.status.phase} {.status.reason} '; c get pod q -o jsonpath='{.status.message}' | grep -o 'The node was low on resource: [a-z-]*'
  c get pod p -o jsonpath='{.status.phase} {.status.containerStatuses[0].restartCount}{"\\n"}'; c exec p -- echo serves
  for i in 1 2 3 4; do until_ok sh -c 'c get node -o jsonpath="{.items[0].status.conditions[?(@.type==\\"DiskPressure\\")].status} {.items[0].spec.taints}" | grep -q "^False $"' && break; done; echo well again
  pod t "containers: [{name: one, image: $BB, command: [echo, new]}]"; ended t; state t`,
  },
];
