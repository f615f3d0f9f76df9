import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What a private Kubernetes is made of. */
export interface KubernetesPlace {
  /** Where everything of it lies. */
  readonly folder: string;
  /** The node's address: one that its daemons reach, but no loopback address. */
  readonly address: string;
  /** containerd's socket. */
  readonly runtime: string;
  /** The control group below which the pods' are, as a path from the hierarchies' roots. */
  readonly group: string;
}

export const nodeName = "tine-node";

/** How large the file system is that volumes of pods lie on, and how little left of it is too little. */
export const nodeDisk = "320m";
const shortOfDisk = "96Mi";

/** Writes what its daemons read. */
export async function writeConfiguration({
  folder,
  address,
  runtime,
  group,
}: KubernetesPlace): Promise<void> {
  for (const name of ["kubelet", "logs", "plugins", "certificates"])
    await mkdir(join(folder, name), { recursive: true });
  const write = (name: string, content: unknown): Promise<void> =>
    writeFile(
      join(folder, name),
      typeof content === "string" ? content : JSON.stringify(content, undefined, 1),
    );
  const token = "in-a-network-of-its-own";
  await write("tokens.csv", `${token},everybody,everybody,system:masters\n`);
  await write("client.yaml", {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name: "tine", cluster: { server: `https://${address}:6443`, "insecure-skip-tls-verify": true } },
    ],
    users: [{ name: "everybody", user: { token } }],
    contexts: [{ name: "tine", context: { cluster: "tine", user: "everybody" } }],
    "current-context": "tine",
  });
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  await write("accounts.key", privateKey.export({ type: "pkcs1", format: "pem" }));
  await write("resolv.conf", "nameserver 127.0.0.1\n");
  await write("kubelet.yaml", {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address,
    readOnlyPort: 0,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${runtime}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: group,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    // It would set the machine's: see Kubernetes.kubelet().
    protectKernelDefaults: true,
    makeIPTablesUtilChains: false,
    podLogsDir: join(folder, "logs"),
    volumePluginDir: join(folder, "plugins"),
    resolvConf: join(folder, "resolv.conf"),
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": shortOfDisk, "imagefs.available": "1%" },
    evictionPressureTransitionPeriod: "3s",
    nodeStatusUpdateFrequency: "2s",
    syncFrequency: "5s",
    maxPods: 60,
  });
}

/** Each daemon's arguments. */
export function daemonArguments({ folder, address }: KubernetesPlace): Readonly<Record<string, string[]>> {
  const client = join(folder, "client.yaml");
  const accounts = join(folder, "accounts.key");
  return {
    etcd: [
      `--data-dir=${join(folder, "etcd")}`,
      "--unsafe-no-fsync",
      "--listen-client-urls=http://127.0.0.1:2379",
      "--advertise-client-urls=http://127.0.0.1:2379",
      "--listen-peer-urls=http://127.0.0.1:2380",
    ],
    "kube-apiserver": [
      "--etcd-servers=http://127.0.0.1:2379",
      `--advertise-address=${address}`,
      `--cert-dir=${join(folder, "certificates")}`,
      `--token-auth-file=${join(folder, "tokens.csv")}`,
      "--authorization-mode=AlwaysAllow",
      "--service-cluster-ip-range=10.96.0.0/16",
      "--service-account-issuer=https://tine.test",
      `--service-account-key-file=${accounts}`,
      `--service-account-signing-key-file=${accounts}`,
      "--disable-admission-plugins=ServiceAccount",
      "--kubelet-preferred-address-types=InternalIP",
      "--allow-privileged=true",
    ],
    "kube-controller-manager": [
      `--kubeconfig=${client}`,
      "--leader-elect=false",
      "--secure-port=0",
      `--service-account-private-key-file=${accounts}`,
      `--flex-volume-plugin-dir=${join(folder, "plugins")}`,
    ],
    "kube-scheduler": [`--kubeconfig=${client}`, "--leader-elect=false", "--secure-port=0"],
    kubelet: [
      `--config=${join(folder, "kubelet.yaml")}`,
      `--kubeconfig=${client}`,
      `--root-dir=${join(folder, "kubelet")}`,
      `--cert-dir=${join(folder, "certificates")}`,
      `--node-ip=${address}`,
      `--hostname-override=${nodeName}`,
      "--node-labels=tine/runtime=true",
    ],
  };
}
