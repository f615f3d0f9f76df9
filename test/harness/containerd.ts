import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClaimedFolder } from "./claimed-folder.js";
import { capture } from "./command.js";
import type { NetworkNamespace } from "./network-namespace.js";
import { cache, programs as ourPrograms } from "./paths.js";

export interface ContainerdOptions {
  /**
   * Whether content and snapshots are kept in the cache for the next one, so that a large image is imported
   * only once. Containers are not kept.
   */
  keepImages?: boolean;
  /** Added to containerd's environment, and so to the shims'. */
  environment?: Record<string, string>;
  /** Folders searched for shims before PATH; build/bin unless given. */
  shimFolders?: string[];
  /** Where containerd and its shims run; the machine's own network unless given. */
  network?: NetworkNamespace;
  /** A folder with containerd, ctr and runc's shim; the machine's own unless given. */
  programs?: string;
  /** The version of its configuration: 2 unless given; 3 is containerd 2's. */
  configuration?: 2 | 3;
  /** The configuration that serves pods, given the folder; pods are not served unless given. */
  pods?: (folder: string) => string;
}

/** A containerd did not start, or stopped by itself. */
export class ContainerdError extends Error {
  override readonly name = "ContainerdError";

  constructor(
    readonly code: "start-failed" | "exited",
    message: string,
  ) {
    super(message);
  }
}

/** Milliseconds a containerd gets to answer after its start. */
const startLimit = 120_000;

/** Milliseconds a shim gets to leave, and between two looks. */
const leaveLimit = 10_000;
const leavePause = 20;

/**
 * A containerd of our own: its socket, root and state in a folder of its own, so that the system's, if there
 * is one, sees nothing of it. (containerd's shims always share /run/containerd/s.)
 *
 * `await using containerd = await PrivateContainerd.start()` stops it, and every shim and container it
 * started, at the end of the block.
 */
export class PrivateContainerd implements AsyncDisposable {
  private process: ChildProcess | undefined;
  private programs: string | undefined;

  private constructor(
    /** Holds state, sockets and log. */
    readonly folder: string,
    private readonly keptRoot: ClaimedFolder | undefined,
    private readonly options: ContainerdOptions,
  ) {
    this.programs = options.programs;
  }

  /** `ctr` of the same version. */
  get ctr(): string {
    return this.programs === undefined ? "ctr" : join(this.programs, "ctr");
  }

  /** Content and snapshots. */
  get root(): string {
    return this.keptRoot?.path ?? join(this.folder, "root");
  }

  /** The gRPC socket: what `ctr --address` wants. */
  get address(): string {
    return join(this.folder, "containerd.sock");
  }

  /** The socket shims send events to. */
  get ttrpcAddress(): string {
    return `${this.address}.ttrpc`;
  }

  /** Everything containerd and its shims wrote. */
  get log(): string {
    return readFileSync(join(this.folder, "containerd.log"), "utf8");
  }

  /** containerd's pid while it runs. */
  get pid(): number | undefined {
    return this.process?.pid;
  }

  /**
   * Starts one and waits until it answers.
   *
   * @throws {ContainerdError} with the log's end when it does not.
   */
  static async start(options: ContainerdOptions = {}): Promise<PrivateContainerd> {
    // Unix socket paths end at 107 bytes: stay short.
    const folder = await mkdtemp(join(tmpdir(), "tine-c-"));
    const keptRoot = options.keepImages ? await ClaimedFolder.claim(join(cache, "containerd")) : undefined;
    const containerd = new PrivateContainerd(folder, keptRoot, options);
    try {
      await mkdir(containerd.root, { recursive: true });
      await writeFile(join(folder, "config.toml"), containerd.configuration());
      await containerd.launch();
      // What a run that was killed left in a kept root.
      if (keptRoot !== undefined) await containerd.removeContainers();
    } catch (error) {
      await containerd.stop();
      throw error;
    }
    return containerd;
  }

  private configuration(): string {
    const quote = (text: string): string => JSON.stringify(text);
    return [
      `version = ${this.options.configuration ?? 2}`,
      `root = ${quote(this.root)}`,
      `state = ${quote(join(this.folder, "state"))}`,
      "oom_score = 0",
      ...(this.options.pods === undefined
        ? [
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"]',
          ]
        : []),
      "[grpc]",
      `  address = ${quote(this.address)}`,
      "[ttrpc]",
      `  address = ${quote(this.ttrpcAddress)}`,
      '[plugins."io.containerd.internal.v1.opt"]',
      `  path = ${quote(join(this.folder, "opt"))}`,
      this.options.pods?.(this.folder) ?? "",
    ].join("\n");
  }

  /**
   * Starts the daemon in this folder: at first, and again after {@link kill}.
   *
   * @param programs another version's from now on: a folder as in {@link ContainerdOptions}
   */
  async launch(programs = this.programs): Promise<void> {
    this.programs = programs;
    const log = openSync(join(this.folder, "containerd.log"), "a");
    const environment: NodeJS.ProcessEnv = { ...process.env, ...this.options.environment };
    environment["PATH"] = [
      ...(this.options.shimFolders ?? [ourPrograms]),
      ...(programs === undefined ? [] : [programs]),
      process.env["PATH"] ?? "",
    ].join(delimiter);
    delete environment["NODE_EXTRA_CA_CERTS"];
    const containerd = programs === undefined ? "containerd" : join(programs, "containerd");
    const daemon = [containerd, "--config", join(this.folder, "config.toml")];
    const [program = "", ...args] = this.options.network?.command(...daemon) ?? daemon;
    const child = spawn(program, args, {
      stdio: ["ignore", log, log],
      env: environment,
      cwd: this.folder,
      // A Ctrl-C on the terminal is for us: containerd is stopped in order, after its containers.
      detached: true,
    });
    closeSync(log);
    this.process = child;
    let failure: Error | undefined;
    child.once("error", (error) => (failure = error));
    const deadline = Date.now() + startLimit;
    for (;;) {
      const version = await capture([
        this.ctr,
        "--address",
        this.address,
        "--connect-timeout",
        "2s",
        "version",
      ]);
      if (version.status === 0) return;
      const ended = failure !== undefined || child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline) {
        const reason = failure?.message ?? (ended ? "it exited" : `no answer in ${startLimit / 1000} s`);
        const end = this.log.trimEnd().split("\n").slice(-15).join("\n");
        throw new ContainerdError("start-failed", `containerd did not start: ${reason}\n${end}`);
      }
      await sleep(50);
    }
  }

  /** Ends the daemon alone, with SIGKILL unless told otherwise: its shims and containers go on. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await ended;
  }

  /** The processes this containerd's shims run as. */
  async shims(): Promise<number[]> {
    const found: number[] = [];
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      // A process may end while we look.
      const commandLine = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
      const [program = "", ...args] = commandLine.split("\0");
      const isContainerd = program === "containerd" || program.endsWith("/containerd");
      if (!isContainerd && program !== "ctr" && !program.endsWith("/ctr") && args.includes(this.address))
        found.push(Number(name));
    }
    return found;
  }

  /** Asked to leave, Tine's takes its socket and its folder with it; others take no notice. */
  private async endShims(): Promise<void> {
    await this.signalShims("SIGTERM");
    for (let waited = 0; waited < leaveLimit && (await this.shims()).length > 0; waited += leavePause) {
      await sleep(leavePause);
    }
    await this.signalShims("SIGKILL");
  }

  private async signalShims(signal: NodeJS.Signals): Promise<void> {
    for (const pid of await this.shims()) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
  }

  /** Stops all containers, the daemon and its shims, and removes the folder. */
  async stop(): Promise<void> {
    if (this.process !== undefined) await this.removeContainers();
    await this.kill("SIGTERM");
    await this.endShims();
    await this.unmountAll();
    await rm(this.folder, { recursive: true, force: true });
    this.keptRoot?.release();
  }

  /** From now on a signal that ends this process stops it all first: for programs that people start and interrupt. */
  stopOnSignals(say: (text: string) => void): void {
    for (const [signal, number] of [
      ["SIGINT", 2],
      ["SIGTERM", 15],
      ["SIGHUP", 1],
    ] as const) {
      process.once(signal, () => {
        say(`${signal}: stopping what was started`);
        void this.stop().finally(() => process.exit(128 + number));
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Kills and deletes every task and container of every namespace. */
  async removeContainers(): Promise<void> {
    const ctr = [this.ctr, "--address", this.address];
    const namespaces = await capture([...ctr, "namespaces", "list", "--quiet"]);
    for (const namespace of namespaces.stdout.split("\n").filter((line) => line !== "")) {
      const inNamespace = [...ctr, "--namespace", namespace];
      const tasks = await capture([...inNamespace, "tasks", "list", "--quiet"]);
      for (const id of tasks.stdout.split("\n").filter((line) => line !== "")) {
        await capture([...inNamespace, "tasks", "delete", "--force", id], { limit: 60_000 }).catch(
          () => undefined,
        );
      }
      const containers = await capture([...inNamespace, "containers", "list", "--quiet"]);
      for (const id of containers.stdout.split("\n").filter((line) => line !== "")) {
        await capture([...inNamespace, "containers", "delete", id], { limit: 60_000 }).catch(() => undefined);
      }
    }
  }

  private async unmountAll(): Promise<void> {
    const mounts = (await readFile("/proc/self/mounts", "utf8"))
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "")
      .filter((path) => path.startsWith(`${this.folder}/`))
      .reverse();
    for (const path of mounts) await capture(["umount", "--lazy", path]);
  }
}
