import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Crictl, podConfiguration } from "../harness/crictl.js";
import { Ctr, runc, tine } from "../harness/ctr.js";
import { PrivateDocker } from "../harness/docker.js";
import { busyboxImage, debianImage, pauseImage } from "../harness/image.js";
import { Nerdctl } from "../harness/nerdctl.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { cache, repository } from "../harness/paths.js";
import type { Side } from "./side.js";

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

/** Where Debian's package puts it. */
const composePlugin = "usr/libexec/docker/cli-plugins/docker-compose";
const busyboxName = "tine.test/busybox:matrix";
const applicationName = "tine.test/application:matrix";
const applicationPackages = ["postgresql", "python3-psycopg2", "python3-redis", "redis-server"];
const debianName = "tine.test/debian:matrix";

/** Where another containerd lies among the clients, its matrix's name, and its configuration's version. */
const otherContainerds = [
  { name: "ctr-1.6", release: "", configuration: 2 },
  { name: "ctr-1.7", release: "containerd-1.7", configuration: 2 },
  { name: "ctr-2.1", release: "containerd-2.1", configuration: 3 },
] as const;

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
    const pause = await pauseImage();
    const folder = join(cache, "clients");
    await check(["sh", join(repository, "test/matrix/fetch-clients.sh"), folder], { limit: 1_800_000 });
    const network = use(await NetworkNamespace.create());
    const containerd = use(
      await PrivateContainerd.start({ network, pods: (path) => podConfiguration(path, pause.reference) }),
    );
    const busybox = await busyboxImage();
    const debian = await debianImage();
    const application = await debianImage(applicationPackages);
    const sides: ClientSides[] = [];
    // The Go modules do not know their own versions: those are fetch-clients.sh's.
    const versions: Record<string, string> = {};
    const below = `${await firstLine("containerd", "--version")}, ${await firstLine("runc", "--version")}`;
    const add = (name: string, side: Omit<Side, "runtime" | "network">, plain: string = runc): void => {
      const common = { ...side, network: network.command() };
      sides.push({ name, runc: { ...common, runtime: plain }, tine: { ...common, runtime: tine } });
    };
    if (wants("docker-28")) {
      const system = join(folder, "docker-28/usr/sbin");
      const docker28 = join(folder, "docker-28/usr/bin/docker");
      const programs = { dockerd: join(system, "dockerd"), docker: docker28, folder: system };
      const plugins = join(containerd.folder, "docker-client/cli-plugins");
      await mkdir(plugins, { recursive: true });
      await symlink(join(folder, "compose", composePlugin), join(plugins, "docker-compose"));
      const withCompose = ["env", `DOCKER_CONFIG=${join(plugins, "..")}`];
      const docker = use(await PrivateDocker.start(containerd, network, programs));
      await docker.import(busybox, busyboxName);
      await docker.import(debian, debianName);
      await docker.import(application, applicationName);
      const images = { busybox: busyboxName, debian: debianName, application: applicationName };
      versions["docker-28"] = `${await firstLine(programs.dockerd, "--version")}; ${below}`;
      add(
        "docker-28",
        { client: "docker", command: [...withCompose, ...docker.command()], ...images },
        "runc",
      );
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
      add("nerdctl", { client: "nerdctl", command: nerdctl.command(), ...images });
    }
    if (wants("crictl")) {
      const crictl = use(await Crictl.prepare(containerd, network, join(folder, "bin/crictl")));
      const ctr = new Ctr(containerd, "k8s.io");
      for (const image of [pause, busybox, debian]) await ctr.import(image);
      versions["crictl"] = `crictl 1.36.0; ${below}`;
      const common = {
        client: "crictl" as const,
        command: crictl.command(),
        busybox: busybox.reference,
        debian: debian.reference,
        network: network.command(),
      };
      const [plain, own] = ["runc", "tine"].map((runtime) => ({ ...common, runtime }));
      if (plain !== undefined && own !== undefined) sides.push({ name: "crictl", runc: plain, tine: own });
    }
    for (const { name, release, configuration } of otherContainerds) {
      const programs = join(folder, release, "usr/bin");
      if (!wants(name)) continue;
      const other = use(
        await PrivateContainerd.start({
          network,
          ...(release !== "" && { programs }),
          configuration,
        }),
      );
      const version = await firstLine(
        release === "" ? "containerd" : join(programs, "containerd"),
        "--version",
      );
      const client = new Ctr(other, "ctr");
      await client.import(busybox);
      versions[name] = `${version}, ${await firstLine("runc", "--version")}`;
      const images = { busybox: busybox.reference, debian: debian.reference };
      add(name, { client: "ctr", command: network.command(...client.command()), ...images });
    }
    return { sides, versions, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
