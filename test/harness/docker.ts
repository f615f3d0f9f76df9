import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { capture, check } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import { unpackImage, type TestImage } from "./image.js";
import type { NetworkNamespace } from "./network-namespace.js";
import { withSubordinates } from "./subordinates.js";

/** Which docker: Debian's, or one unpacked elsewhere. */
export interface DockerPrograms {
  readonly dockerd: string;
  readonly docker: string;
  /** Folders with docker-proxy and docker-init, put first in dockerd's PATH. */
  readonly folders: readonly string[];
}

/** What is below `usr` of a folder that Debian's packages docker.io and docker-cli were unpacked in. */
export function unpackedDocker(root: string): DockerPrograms {
  const [system, own] = [join(root, "usr/sbin"), join(root, "usr/bin")];
  return { dockerd: join(system, "dockerd"), docker: join(own, "docker"), folders: [system, own] };
}

/** What the package docker.io installs. */
export const installedDocker = unpackedDocker("/");

/** Milliseconds a dockerd gets to answer after its start. */
const startLimit = 30_000;

/** A dockerd of our own over a private containerd, in a network namespace of its own. */
export class PrivateDocker implements AsyncDisposable {
  private process: ChildProcess | undefined;

  private constructor(
    readonly containerd: PrivateContainerd,
    private readonly network: NetworkNamespace,
    private readonly programs: DockerPrograms,
    private readonly configuration: Readonly<Record<string, unknown>>,
    private readonly subordinates: string,
  ) {}

  private get folder(): string {
    return join(this.containerd.folder, "docker");
  }

  /** What `docker --host` wants. */
  get host(): string {
    return `unix://${join(this.folder, "docker.sock")}`;
  }

  /** Everything dockerd wrote. */
  get log(): string {
    return readFileSync(join(this.folder, "dockerd.log"), "utf8");
  }

  /**
   * Starts one and waits until it answers.
   *
   * @param configuration what its daemon.json holds.
   * @param subordinates what it finds in /etc/subuid and /etc/subgid; the machine's own unless given.
   */
  static async start(
    containerd: PrivateContainerd,
    network: NetworkNamespace,
    programs: DockerPrograms = installedDocker,
    configuration: Readonly<Record<string, unknown>> = {},
    subordinates = "",
  ): Promise<PrivateDocker> {
    const docker = new PrivateDocker(containerd, network, programs, configuration, subordinates);
    await mkdir(docker.folder, { recursive: true });
    if (subordinates !== "") {
      await writeFile(join(docker.folder, "subordinates"), subordinates);
      // Other users than root go through it.
      await chmod(containerd.folder, 0o711);
      // What dockerd mounts there, containerd has to see.
      await check(["mount", "--bind", docker.folder, docker.folder]);
      await check(["mount", "--make-shared", docker.folder]);
    }
    await writeFile(join(docker.folder, "daemon.json"), JSON.stringify(configuration));
    try {
      await docker.launch();
    } catch (error) {
      await docker.stop();
      throw error;
    }
    return docker;
  }

  /** Starts the daemon: at first, and again after {@link kill}. */
  async launch(): Promise<void> {
    const { folder } = this;
    const log = openSync(join(folder, "dockerd.log"), "a");
    const environment = { ...process.env };
    environment["PATH"] = [...this.programs.folders, environment["PATH"] ?? ""].join(delimiter);
    const [program = "", ...args] = this.network.command(
      ...this.alone(),
      this.programs.dockerd,
      ...["--config-file", join(folder, "daemon.json"), "--containerd", this.containerd.address],
      ...["--containerd-namespace", "docker", "--containerd-plugins-namespace", "docker-plugins"],
      ...["--host", this.host, "--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
      ...["--pidfile", join(folder, "pid")],
    );
    const child = spawn(program, args, {
      stdio: ["ignore", log, log],
      env: environment,
      cwd: folder,
      detached: true,
    });
    closeSync(log);
    this.process = child;
    const deadline = Date.now() + startLimit;
    for (;;) {
      if ((await capture(this.command("version"))).status === 0) return;
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`dockerd did not start:\n${this.log.split("\n").slice(-15).join("\n")}`);
      }
      await sleep(50);
    }
  }

  /** What comes before dockerd's command line. */
  private alone(): string[] {
    return this.subordinates === "" ? [] : withSubordinates(join(this.folder, "subordinates"));
  }

  /** The command line of `docker` with these arguments, in the daemon's network. */
  command(...args: string[]): string[] {
    return this.network.command(this.programs.docker, "--host", this.host, ...args);
  }

  /** Makes an image known under a name of this daemon's own. */
  async import(image: TestImage, name: string): Promise<void> {
    const rootfs = join(this.folder, `rootfs-${name.replaceAll(/\W/g, "-")}`);
    await mkdir(rootfs);
    await unpackImage(image, rootfs);
    const changes = ["--change", `ENV PATH=${standardPath}`, "--change", 'CMD ["/bin/sh"]'];
    const script = 'folder=$1; shift; tar -C "$folder" -c . | "$@"; rm -rf "$folder"';
    const command = this.command("import", ...changes, "-", name);
    await check(["bash", "-o", "pipefail", "-c", script, "import", rootfs, ...command], { limit: 120_000 });
  }

  /** Ends the daemon alone. */
  async kill(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await ended;
  }

  /** Removes all containers, ends the daemon and removes its bridge networks' leftovers in /run. */
  async stop(): Promise<void> {
    if (this.process !== undefined) {
      const ids = (await capture(this.command("ps", "--all", "--quiet"))).stdout.split("\n").filter(Boolean);
      if (ids.length > 0) await capture(this.command("rm", "--force", ...ids));
    }
    await this.kill();
    for (const path of await this.mounts()) await capture(["umount", "--lazy", path]);
  }

  /** What is mounted below the daemon's folder, the innermost first. */
  async mounts(): Promise<string[]> {
    const lines = (await readFile("/proc/self/mounts", "utf8")).split("\n");
    const paths = lines.map((line) => line.split(" ")[1] ?? "");
    return paths.filter((path) => path.startsWith(`${this.folder}/`)).reverse();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
