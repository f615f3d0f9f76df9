import { mkdir, readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { capture, check } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import { writePodNetwork } from "./crictl.js";
import { Daemon } from "./daemon.js";
import {
  daemonArguments,
  nodeDisk,
  nodeName,
  writeConfiguration,
  type KubernetesPlace,
} from "./kubernetes-configuration.js";
import type { NetworkNamespace } from "./network-namespace.js";

/** Milliseconds that each daemon gets to answer, and the pods to go. */
const startLimit = 60_000;
const removalLimit = 60_000;

const node = { bridge: "tine-node", address: "10.77.0.1" } as const;

/** Where control groups are: of version 1 a hierarchy each, of version 2 one. */
async function hierarchies(): Promise<string[]> {
  const root = "/sys/fs/cgroup";
  const names = await readdir(root);
  if (names.includes("cgroup.procs")) return [root];
  return names.map((name) => join(root, name));
}

/**
 * A Kubernetes of our own with one node, over a private containerd that serves pods: everything listens in a network
 * namespace only, and what the kubelet would do to the machine stays in a mount namespace of its own.
 */
export class PrivateKubernetes implements AsyncDisposable {
  private readonly daemons: Daemon[] = [];

  private constructor(
    private readonly place: KubernetesPlace,
    private readonly containerd: PrivateContainerd,
    private readonly network: NetworkNamespace,
    private readonly programs: string,
  ) {}

  /**
   * Starts it and waits until the node is ready.
   *
   * @param programs a folder with etcd, kubectl, kubelet and the rest
   */
  static async start(
    containerd: PrivateContainerd,
    network: NetworkNamespace,
    programs: string,
  ): Promise<PrivateKubernetes> {
    const place = {
      folder: join(containerd.folder, "kubernetes"),
      address: node.address,
      runtime: containerd.address,
      group: `/tine-pods-${process.pid}`,
    };
    const kubernetes = new PrivateKubernetes(place, containerd, network, programs);
    try {
      await writePodNetwork(containerd.folder);
      await writeConfiguration(place);
      await kubernetes.launch();
    } catch (error) {
      await kubernetes.stop();
      throw error;
    }
    return kubernetes;
  }

  /** The command line of `kubectl` with these arguments. */
  command(...args: string[]): string[] {
    const client = join(this.place.folder, "client.yaml");
    // Its cache of what the server knows would be in the home folder.
    const cache = join(this.place.folder, "cache");
    return this.network.command(
      join(this.programs, "kubectl"),
      ...[`--kubeconfig=${client}`, `--cache-dir=${cache}`, ...args],
    );
  }

  private async launch(): Promise<void> {
    const { name } = this.network;
    await check(["ip", "-n", name, "link", "add", node.bridge, "type", "bridge"]);
    await check(["ip", "-n", name, "address", "add", `${node.address}/24`, "dev", node.bridge]);
    await check(["ip", "-n", name, "link", "set", node.bridge, "up"]);
    for (const hierarchy of await hierarchies())
      await mkdir(join(hierarchy, this.place.group), { recursive: true });
    // What the kubelet mounts for pods, containerd has to see. It is a file system that a pod can fill.
    const mounts = join(this.place.folder, "kubelet");
    await check(["mount", "-t", "tmpfs", "-o", `mode=755,size=${nodeDisk}`, "tine-kubelet", mounts]);
    await check(["mount", "--make-shared", mounts]);
    const answers = (...args: string[]) => {
      return async (): Promise<boolean> => {
        const { status, stdout } = await capture(this.command(...args));
        return status === 0 && !stdout.includes("False") && stdout !== "";
      };
    };
    await this.start("etcd").ready(() => Promise.resolve(true), startLimit);
    await this.start("kube-apiserver").ready(answers("get", "--raw", "/readyz"), startLimit);
    this.start("kube-controller-manager");
    this.start("kube-scheduler");
    const isReady = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    await this.start("kubelet", this.alone()).ready(answers("get", "node", nodeName, isReady), startLimit);
  }

  /** Ends one of its daemons as kill -9 does. */
  async kill(name: "kubelet"): Promise<void> {
    for (const daemon of this.daemons) if (daemon.name === name) await daemon.kill();
  }

  /** Starts a daemon that was ended again, and waits until it serves; one that runs is left alone. */
  async again(name: "kubelet"): Promise<void> {
    if (this.daemons.some((daemon) => daemon.name === name && daemon.running)) return;
    const healthy = ["get", "--raw", `/api/v1/nodes/${nodeName}/proxy/healthz`];
    const answers = async (): Promise<boolean> => (await capture(this.command(...healthy))).status === 0;
    await this.start(name, this.alone()).ready(answers, startLimit);
  }

  private start(name: string, before: readonly string[] = []): Daemon {
    const command = [join(this.programs, name), ...(daemonArguments(this.place)[name] ?? [])];
    const log = join(this.place.folder, `${name}.log`);
    const daemon = new Daemon(name, this.network.command(...before, ...command), log, {
      directory: this.place.folder,
    });
    this.daemons.unshift(daemon);
    return daemon;
  }

  /**
   * The command line that runs the kubelet so that the machine stays as it is: it wants to set some of the kernel's
   * parameters, for which it finds others with the values it wants, and has a fixed place for links to logs.
   */
  private alone(): string[] {
    const wanted = {
      "vm/overcommit_memory": 1,
      "vm/panic_on_oom": 0,
      "kernel/panic": 10,
      "kernel/panic_on_oops": 1,
      "kernel/keys/root_maxkeys": 1_000_000,
      "kernel/keys/root_maxbytes": 25_000_000,
    };
    const values = join(this.place.folder, "parameters");
    const script = [
      "mount --make-rprivate /proc",
      `mkdir -p "${values}"`,
      ...Object.entries(wanted).map(([name, value]) => {
        const file = `"${values}/${name.replaceAll("/", "-")}"`;
        return `echo ${value} > ${file} && mount --bind ${file} /proc/sys/${name}`;
      }),
      'mount --make-private "$(stat --format %m /var/log)"',
      "mount -t tmpfs none /var/log",
      'exec "$@"',
    ];
    return ["unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", script.join("\n"), "kubelet"];
  }

  /** Removes all pods and ends everything. */
  async stop(): Promise<void> {
    if (this.daemons.some(({ name }) => name === "kubelet")) {
      const everything = "deployments,replicasets,jobs,pods";
      await capture(this.command("delete", everything, "--all", "--grace-period=1", "--timeout=50s"), {
        limit: removalLimit,
      }).catch(() => undefined);
    }
    for (const daemon of this.daemons) await daemon.stop();
    // What Kubernetes did not remove in time.
    await this.containerd.removeContainers();
    await this.removeGroups();
  }

  /** A group is empty a moment after its last process's end. */
  private async removeGroups(): Promise<void> {
    for (const hierarchy of await hierarchies()) {
      const group = join(hierarchy, this.place.group);
      for (let tries = 0; tries < 50 && !(await removeTree(group)); tries += 1) await sleep(100);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Removes a control group and those below it; whether they are gone. */
async function removeTree(group: string): Promise<boolean> {
  const entries = await readdir(group, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) await removeTree(join(group, entry.name));
  }
  try {
    await rmdir(group);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
