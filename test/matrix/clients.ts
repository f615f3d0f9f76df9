import { join } from "node:path";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Crictl, podConfiguration } from "../harness/crictl.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { busyboxImage, debianImage, pauseImage } from "../harness/image.js";
import { Nerdctl } from "../harness/nerdctl.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { PrivateKubernetes } from "../harness/kubernetes.js";
import { cache, programs, repository } from "../harness/paths.js";
import type { Client } from "./cases/case.js";
import { startDockers } from "./dockers.js";
import type { Side } from "./side.js";
import { Trouble, type Deeds } from "./trouble.js";

/** One client with both runtimes. */
export interface ClientSides {
  readonly name: string;
  readonly runc: Side;
  readonly tine: Side;
}

/** The clients of the matrix over one containerd. */
export interface Clients {
  readonly sides: readonly ClientSides[];
  /** What each client is, for a reader. */
  readonly versions: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const applicationPackages = ["postgresql", "python3-psycopg2", "python3-redis", "redis-server"];

/** A containerd among the clients: its version, its packages' folder and its configuration's version. */
interface OtherContainerd {
  readonly name: string;
  readonly release: string;
  readonly configuration: 2 | 3;
  readonly networkPlugins?: string;
}

const newestOfDebian: OtherContainerd = { name: "2.1", release: "containerd-2.1", configuration: 3 };
const otherContainerds: readonly OtherContainerd[] = [
  { name: "1.6", release: "", configuration: 2 },
  { name: "1.7", release: "containerd-1.7", configuration: 2 },
  newestOfDebian,
  { name: "2.4", release: "containerd-2.4", configuration: 3, networkPlugins: 'bin_dirs = ["/usr/lib/cni"]' },
];

/** It asks for snapshots with mapped owners, which containerd has from 2.0 on. */
const mappedNerdctl = { name: "nerdctl-userns", release: newestOfDebian } as const;
const kubernetesClient = { name: "kubernetes-1.36", release: newestOfDebian } as const;

/** Keeps what is to be stopped in the end. */
type Use = <T extends AsyncDisposable>(thing: T) => T;

/** One that serves pods too. */
async function startContainerd(
  { release, configuration, networkPlugins }: OtherContainerd,
  network: NetworkNamespace,
  use: Use,
): Promise<{ containerd: PrivateContainerd; version: string }> {
  const folder = join(cache, "clients", release, "usr/bin");
  const pause = await pauseImage();
  const containerd = use(
    await PrivateContainerd.start({
      network,
      ...(release !== "" && { programs: folder }),
      configuration,
      pods: (path) => podConfiguration(path, pause.reference, configuration, networkPlugins),
    }),
  );
  const program = release === "" ? "containerd" : join(folder, "containerd");
  const version = `${await firstLine(program, "--version")}, ${await firstLine("runc", "--version")}`;
  return { containerd, version };
}

/** The sides of a client of pods, for which it brings the images. */
async function podSides(
  name: string,
  client: Client,
  containerd: PrivateContainerd,
  command: readonly string[],
  network: NetworkNamespace,
  words: Side["words"] = {},
): Promise<ClientSides> {
  const ctr = new Ctr(containerd, "k8s.io");
  const [busybox, debian] = [await busyboxImage(), await debianImage()];
  for (const image of [await pauseImage(), busybox, debian]) await ctr.import(image);
  const images = { busybox: busybox.reference, debian: debian.reference };
  const common = { client, command, ...images, network: network.command(), words };
  return { name, runc: { ...common, runtime: "runc" }, tine: { ...common, runtime: "tine" } };
}

/** Tine's as its own set-up makes it; runc's the same by another name. */
async function makeRuntimeClasses(kubernetes: PrivateKubernetes): Promise<void> {
  const { stdout: own } = await check([join(programs, "tine"), "setup", "kubernetes", "--print"]);
  for (const manifest of [own, own.replaceAll(/: tine$/gm, ": runc")])
    await check(kubernetes.command("apply", "--filename", "-"), { input: manifest });
}

async function firstLine(...command: string[]): Promise<string> {
  return (await check(command)).stdout.split("\n")[0] ?? "";
}

/**
 * Starts them.
 *
 * @param names which; all unless there are some
 */
export async function startClients(names: readonly string[]): Promise<Clients> {
  const wants = (name: string): boolean => names.length === 0 || names.includes(name);
  const started: AsyncDisposable[] = [];
  const use = <T extends AsyncDisposable>(thing: T): T => {
    started.unshift(thing);
    return thing;
  };
  const stop = async (): Promise<void> => {
    for (const thing of started) await thing[Symbol.asyncDispose]();
  };
  try {
    const folder = join(cache, "clients");
    await check(["sh", join(repository, "test/matrix/fetch-clients.sh"), folder], { limit: 3_600_000 });
    const network = use(await NetworkNamespace.create());
    const containerd = use(await PrivateContainerd.start({ network }));
    const busybox = await busyboxImage();
    const debian = await debianImage();
    const application = await debianImage(applicationPackages);
    const sides: ClientSides[] = [];
    // The Go modules do not know their own versions: those are fetch-clients.sh's.
    const versions: Record<string, string> = {};
    const below = `${await firstLine("containerd", "--version")}, ${await firstLine("runc", "--version")}`;
    const add = (name: string, side: Omit<Side, "runtime" | "network">): void => {
      const common = { ...side, network: network.command() };
      sides.push({ name, runc: { ...common, runtime: runc }, tine: { ...common, runtime: tine } });
    };
    const images = { busybox, debian, application };
    for (const docker of await startDockers(wants, { images, use })) {
      versions[docker.sides.name] = `${docker.version}; ${below}`;
      sides.push(docker.sides);
    }
    if (wants("nerdctl")) {
      const nerdctl = use(await Nerdctl.prepare(containerd, network, join(folder, "bin/nerdctl")));
      const ctr = new Ctr(containerd, "nerdctl");
      await ctr.import(busybox);
      await ctr.import(debian);
      await ctr.import(application);
      const images = {
        busybox: busybox.reference,
        debian: debian.reference,
        application: application.reference,
      };
      versions["nerdctl"] = `nerdctl 2.2.2; ${below}`;
      const words = { trouble: use(await Trouble.start(containerd)).word };
      add("nerdctl", { client: "nerdctl", command: nerdctl.command(), ...images, words });
    }
    if (wants(mappedNerdctl.name)) {
      const own = use(await NetworkNamespace.create());
      const { containerd, version } = await startContainerd(mappedNerdctl.release, own, use);
      const range = "games:100000:65536\n";
      const nerdctl = use(await Nerdctl.prepare(containerd, own, join(folder, "bin/nerdctl"), range));
      const ctr = new Ctr(containerd, "nerdctl");
      for (const image of [busybox, debian]) await ctr.import(image);
      versions[mappedNerdctl.name] = `nerdctl 2.2.2 with userns-remap; ${version}`;
      const command = nerdctl.command("--userns-remap", "games");
      const images = { busybox: busybox.reference, debian: debian.reference };
      const side = { client: "nerdctl-userns" as const, command, ...images, network: own.command() };
      sides.push({
        name: mappedNerdctl.name,
        runc: { ...side, runtime: runc },
        tine: { ...side, runtime: tine },
      });
    }
    for (const other of otherContainerds) {
      const [ctrName, crictlName] = [`ctr-${other.name}`, `crictl-${other.name}`] as const;
      if (wants(ctrName) || wants(crictlName)) {
        const { containerd, version } = await startContainerd(other, network, use);
        const words = { trouble: use(await Trouble.start(containerd)).word };
        if (wants(ctrName)) {
          const client = new Ctr(containerd, "ctr");
          await client.import(busybox);
          versions[ctrName] = version;
          add(ctrName, {
            client: "ctr",
            command: network.command(...client.command()),
            busybox: busybox.reference,
            debian: debian.reference,
            words,
          });
        }
        if (wants(crictlName)) {
          const crictl = use(await Crictl.prepare(containerd, network, join(folder, "bin/crictl")));
          versions[crictlName] = `crictl 1.36.0; ${version}`;
          sides.push(await podSides(crictlName, "crictl", containerd, crictl.command(), network, words));
        }
      }
    }
    if (wants(kubernetesClient.name)) {
      const { release } = kubernetesClient;
      const own = use(await NetworkNamespace.create());
      const { containerd, version } = await startContainerd(release, own, use);
      const crictl = use(await Crictl.prepare(containerd, own, join(folder, "bin/crictl")));
      const binaries = join(folder, kubernetesClient.name);
      const kubernetes = use(await PrivateKubernetes.start(containerd, own, binaries));
      await makeRuntimeClasses(kubernetes);
      const deeds: Deeds = {
        "kubelet-down": () => kubernetes.kill("kubelet"),
        "kubelet-back": () => kubernetes.again("kubelet"),
        mend: () => kubernetes.again("kubelet"),
      };
      versions[kubernetesClient.name] =
        `${await firstLine(join(binaries, "kubelet"), "--version")}; ${version}`;
      sides.push(
        await podSides(kubernetesClient.name, "kubectl", containerd, kubernetes.command(), own, {
          trouble: use(await Trouble.start(containerd, deeds)).word,
          sandbox: crictl.command("pods", "--quiet", "--no-trunc", "--state", "ready", "--name"),
        }),
      );
    }
    return { sides, versions, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
