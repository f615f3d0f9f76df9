import { mkdir, mkdtemp, readlink, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { tine } from "../harness/ctr.js";
import { PrivateDocker, unpackedDocker, type DockerPrograms } from "../harness/docker.js";
import type { TestImage } from "../harness/image.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { cache, programs } from "../harness/paths.js";
import type { ClientSides } from "./clients.js";
import type { Side } from "./side.js";
import { Trouble } from "./trouble.js";

/** A docker among the clients: where its programs are, and how Tine is chosen. */
interface OtherDocker {
  readonly name: string;
  readonly release: string;
  /** By its name, or as runc of a containerd of its own (docs/clients.md, docker 20.10). */
  readonly chosen: "by-name" | "as-runc";
}

const dockers: readonly OtherDocker[] = [
  { name: "docker-20.10", release: "docker-20.10", chosen: "as-runc" },
  { name: "docker-26", release: "docker-26", chosen: "by-name" },
  { name: "docker-28", release: "docker-28", chosen: "by-name" },
];
const mappedDocker = { name: "docker-28-userns", release: "docker-28" } as const;

/** Where Debian's package puts it. */
const composePlugin = "usr/libexec/docker/cli-plugins/docker-compose";

const names = {
  busybox: "tine.test/busybox:matrix",
  debian: "tine.test/debian:matrix",
  application: "tine.test/application:matrix",
} as const;

/** What docker columns are made with. */
export interface DockerSurroundings {
  readonly images: Readonly<Record<keyof typeof names, TestImage>>;
  /** Keeps what is to be stopped in the end. */
  readonly use: <T extends AsyncDisposable>(thing: T) => T;
}

/** A docker of the cache's. */
function programsOf(release: string): DockerPrograms {
  return unpackedDocker(join(cache, "clients", release));
}

/** A docker with its images and compose. */
async function startDocker(
  { images, use }: DockerSurroundings,
  containerd: PrivateContainerd,
  network: NetworkNamespace,
  release: string,
): Promise<Omit<Side, "runtime">> {
  const configuration = join(containerd.folder, `client-${release}`);
  await mkdir(join(configuration, "cli-plugins"), { recursive: true });
  const compose = join(cache, "clients/compose", composePlugin);
  await symlink(compose, join(configuration, "cli-plugins/docker-compose"));
  const docker = use(await PrivateDocker.start(containerd, network, programsOf(release)));
  for (const [image, name] of Object.entries(names))
    await docker.import(images[image as keyof typeof names], name);
  const command = ["env", `DOCKER_CONFIG=${configuration}`, ...docker.command()];
  const words = { trouble: use(await Trouble.start(containerd)).word };
  return { client: "docker", command, ...names, network: network.command(), words };
}

/** Fails unless what a side runs is Tine's: a name that stands for another could come to nothing. */
async function mustBeTine({ command, runtime, busybox }: Side): Promise<void> {
  const id = "whose-is-it";
  await check([...command, "run", "--detach", "--name", id, "--runtime", runtime, busybox, "sleep", "100"]);
  const { stdout } = await check([...command, "inspect", "--format", "{{.State.Pid}}", id]);
  const program = await readlink(`/proc/${stdout.trim()}/exe`);
  await check([...command, "rm", "--force", id]);
  if (!program.includes("tine-vmm")) throw new Error(`a container's first process is ${program}`);
}

/** A folder in which runc's name stands for Tine, as docs/clients.md says. */
async function asRunc(use: DockerSurroundings["use"]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tine-as-runc-"));
  use({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) });
  await symlink(join(programs, "containerd-shim-tine-v2"), join(folder, "containerd-shim-runc-v2"));
  return folder;
}

async function dockerSides(
  { name, release, chosen }: OtherDocker,
  surroundings: DockerSurroundings,
): Promise<ClientSides> {
  const { use } = surroundings;
  // Networks of each dockerd's own, or they would meet on docker0.
  const network = use(await NetworkNamespace.create());
  const containerd = use(await PrivateContainerd.start({ network }));
  const plain = await startDocker(surroundings, containerd, network, release);
  if (chosen === "by-name") {
    return { name, runc: { ...plain, runtime: "runc" }, tine: { ...plain, runtime: tine } };
  }
  const own = use(await NetworkNamespace.create());
  const shimFolders = [await asRunc(use)];
  const other = use(await PrivateContainerd.start({ network: own, shimFolders }));
  const instead = await startDocker(surroundings, other, own, release);
  return { name, runc: { ...plain, runtime: "runc" }, tine: { ...instead, runtime: "runc" } };
}

/** Containers' users are others outside. */
async function mappedSides({ images, use }: DockerSurroundings): Promise<ClientSides> {
  const network = use(await NetworkNamespace.create());
  const containerd = use(await PrivateContainerd.start({ network }));
  const configuration = { "userns-remap": "games" };
  const range = "games:100000:65536\n";
  const docker = use(
    await PrivateDocker.start(containerd, network, programsOf(mappedDocker.release), configuration, range),
  );
  const { busybox, debian } = names;
  await docker.import(images.busybox, busybox);
  await docker.import(images.debian, debian);
  const command = docker.command();
  const side = { client: "docker-userns" as const, command, busybox, debian, network: network.command() };
  return { name: mappedDocker.name, runc: { ...side, runtime: "runc" }, tine: { ...side, runtime: tine } };
}

/** The columns of docker that are wanted, each with what it is, for a reader. */
export async function startDockers(
  wants: (name: string) => boolean,
  surroundings: DockerSurroundings,
): Promise<{ sides: ClientSides; version: string }[]> {
  const started: { sides: ClientSides; version: string }[] = [];
  const add = async (sides: ClientSides, release: string, about: string): Promise<void> => {
    await mustBeTine(sides.tine);
    const { stdout } = await check([programsOf(release).dockerd, "--version"]);
    started.push({ sides, version: `${stdout.trim()}${about}` });
  };
  for (const docker of dockers) {
    if (!wants(docker.name)) continue;
    const about = docker.chosen === "as-runc" ? ", Tine in runc's place (docs/clients.md)" : "";
    await add(await dockerSides(docker, surroundings), docker.release, about);
  }
  if (wants(mappedDocker.name))
    await add(await mappedSides(surroundings), mappedDocker.release, " with userns-remap");
  return started;
}
