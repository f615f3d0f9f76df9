import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { packJson, specTypeUrl } from "../../shim/proto/any.js";
import { Status } from "../../shim/proto/gen/process_pb.js";
import { Task, type WaitResponse } from "../../shim/proto/gen/task_pb.js";
import { Task as TaskV3 } from "../../shim/proto/gen/task_v3_pb.js";
import { serviceClient, type ServiceClient } from "../../shim/proto/service.js";
import { StatusCode, TtrpcClient, TtrpcError } from "../../shim/ttrpc/index.js";
import { capture, check, type CommandResult } from "../harness/command.js";
import { programs } from "../harness/paths.js";
import { makeBundle, processSpecification, specification, type Specification } from "./bundle.js";
import type { ProcessSpecification } from "./bundle.js";
import { EventRecorder } from "./events.js";
import { FifoReader, FifoWriter, makeFifo } from "./fifo.js";
import { busyboxFolder } from "./rootfs.js";

/** The shim under test. */
export const shim = process.env["TINE_CONTRACT_SHIM"] ?? join(programs, "containerd-shim-tine-v2");

/** Whether that is another than ours. */
export const foreign = process.env["TINE_CONTRACT_SHIM"] !== undefined;

const YEAR_1 = -62_135_596_800n;

/** A process's streams as Create and Exec take them. */
export interface Streams {
  stdin: string;
  stdout: string;
  stderr: string;
}

export interface ContainerOptions {
  readonly args: readonly string[];
  readonly id?: string;
  readonly terminal?: boolean;
  /** Which of the three streams get a fifo; all that the terminal allows unless given. */
  readonly streams?: Partial<Streams> | "none";
  /** Changes config.json before it is written. */
  readonly change?: (contents: Specification) => void;
  /** Which name of the Task service to call. */
  readonly version?: 2 | 3;
}

const limit = { timeoutMilliseconds: 60_000 };

/** Plays containerd for shims of one namespace: its own events socket, bundles, and clean-up at the end. */
export class ContractContainerd implements AsyncDisposable {
  readonly namespace = `contract-${process.pid}-${(count += 1)}`;
  readonly #containers: ContractContainer[] = [];
  readonly #shims = new Set<number>();
  /** containerd reads them too, and runc's shim waits for that. */
  readonly #logs: FifoReader[] = [];

  private constructor(
    readonly folder: string,
    readonly events: EventRecorder,
  ) {}

  static async start(): Promise<ContractContainerd> {
    const folder = await mkdtemp(join(tmpdir(), "tine-k-"));
    return new ContractContainerd(folder, await EventRecorder.listen(join(folder, "events")));
  }

  /** What the shims wrote to the bundles' logs. */
  get log(): string {
    return this.#logs.map(({ text }) => text).join("");
  }

  /** The flags of every call of the shim's binary. */
  flags(id: string): string[] {
    const address = join(this.folder, "containerd.sock");
    return [
      "-namespace",
      this.namespace,
      "-address",
      address,
      "-publish-binary",
      "/usr/bin/containerd",
      "-id",
      id,
    ];
  }

  /** Runs the shim's binary in a bundle. */
  runShim(bundle: string, args: readonly string[]): Promise<CommandResult> {
    return capture([shim, ...args], { directory: bundle, environment: this.#environment() });
  }

  /** The shim's `delete` action: its exit status and what it wrote to standard output. */
  runDelete(id: string): { status: number | null; answer: Uint8Array } {
    const bundle = join(this.folder, id);
    const { status, stdout } = spawnSync(shim, [...this.flags(id), "-bundle", bundle, "delete"], {
      cwd: bundle,
      env: this.#environment(),
    });
    return { status, answer: new Uint8Array(stdout) };
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      TTRPC_ADDRESS: join(this.folder, "events"),
      NAMESPACE: this.namespace,
      MAX_SHIM_VERSION: "2",
    };
  }

  /** Makes a bundle and has the shim's binary find or start a daemon for it. Nothing is created yet. */
  async container(options: ContainerOptions): Promise<ContractContainer> {
    const id = options.id ?? `c${(count += 1)}`;
    const bundle = join(this.folder, id);
    const contents = specification(id, options.args, options.terminal ?? false);
    options.change?.(contents);
    await makeBundle(bundle, contents);
    this.#logs.push(new FifoReader(join(bundle, "log")));
    const started = await this.runShim(bundle, [...this.flags(id), "start"]);
    if (started.status !== 0 || !started.stdout.startsWith("unix://")) {
      throw new Error(`start answered ${JSON.stringify(started)}`);
    }
    const container = await ContractContainer.connect(this, id, bundle, started.stdout, options);
    this.#containers.push(container);
    this.#shims.add((await container.task.connect({ id }, limit)).shimPid);
    return container;
  }

  /** Creates, starts and waits for a container; its output is read to the end. */
  async run(options: ContainerOptions): Promise<{ status: number; stdout: string; stderr: string }> {
    const container = await this.container(options);
    await container.create();
    const waiting = container.wait();
    await container.start();
    const { exitStatus } = await waiting;
    const stdout = (await container.stdout?.toEnd()) ?? "";
    const stderr = (await container.stderr?.toEnd()) ?? "";
    await container.delete();
    return { status: exitStatus, stdout, stderr };
  }

  /**
   * Does away with every container, asks the shims to leave and sees that they do.
   *
   * @throws Error when one stays; it is killed then
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const staying: number[] = [];
    for (const container of this.#containers) {
      await container.remove();
      container.disconnect();
    }
    for (const address of new Set(this.#containers.map((container) => container.address))) {
      await shutDown(address);
    }
    for (const pid of this.#shims) {
      if (!(await endsWithin(pid, 30_000))) {
        staying.push(pid);
        process.kill(pid, "SIGKILL");
      }
    }
    this.#logs.forEach((log) => log.close());
    await this.events.close();
    await unmountBelow(this.folder);
    await rm(this.folder, { recursive: true, force: true });
    if (staying.length > 0) {
      throw new Error(`shims that do not leave after Shutdown: ${staying.join(", ")}`);
    }
  }
}

let count = 0;

/** Asks a shim to leave, unless it is gone. */
async function shutDown(address: string): Promise<void> {
  try {
    using connection = await TtrpcClient.connect(address.slice("unix://".length), limit);
    await serviceClient(Task, connection).shutdown({ now: true }, limit);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ENOENT" && code !== "ECONNREFUSED" && code !== StatusCode.Unavailable) {
      throw error;
    }
  }
}

/** One container and a connection to its shim. */
export class ContractContainer {
  private constructor(
    readonly containerd: ContractContainerd,
    readonly id: string,
    readonly bundle: string,
    /** What `start` printed. */
    readonly address: string,
    readonly connection: TtrpcClient,
    readonly task: ServiceClient<typeof Task>,
    readonly streams: Streams,
    readonly terminal: boolean,
    readonly stdin: FifoWriter | undefined,
    readonly stdout: FifoReader | undefined,
    readonly stderr: FifoReader | undefined,
  ) {}

  static async connect(
    containerd: ContractContainerd,
    id: string,
    bundle: string,
    address: string,
    options: ContainerOptions,
  ): Promise<ContractContainer> {
    const connection = await TtrpcClient.connect(address.slice("unix://".length), limit);
    const terminal = options.terminal ?? false;
    const ends = await makeStreams(bundle, "init", terminal, options.streams);
    const task = options.version === 3 ? serviceClient(TaskV3, connection) : serviceClient(Task, connection);
    return new ContractContainer(
      ...([containerd, id, bundle, address, connection, task, ends.streams, terminal] as const),
      ...([ends.stdin, ends.stdout, ends.stderr] as const),
    );
  }

  /** Creates the task with busybox as its root, mounted by the shim. */
  async create(): Promise<number> {
    const source = await busyboxFolder();
    const rootfs = [{ type: "bind", source, options: ["rbind", "rw"] }];
    const { id, bundle, streams, terminal } = this;
    const { pid } = await this.task.create({ id, bundle, rootfs, terminal, ...streams }, limit);
    return pid;
  }

  async start(execId = ""): Promise<number> {
    return (await this.task.start({ id: this.id, execId }, limit)).pid;
  }

  wait(execId = ""): Promise<WaitResponse> {
    return this.task.wait({ id: this.id, execId }, limit);
  }

  async kill(signal: number, options: { execId?: string; all?: boolean } = {}): Promise<void> {
    await this.task.kill({ id: this.id, signal, ...options }, limit);
  }

  delete(execId = "") {
    return this.task.delete({ id: this.id, execId }, limit);
  }

  async state(execId = "") {
    const state = await this.task.state({ id: this.id, execId }, limit);
    if (foreign && state.exitedAt?.seconds === YEAR_1) {
      // runc's shim sends Go's zero time, which containerd takes for none.
      delete state.exitedAt;
    }
    return state;
  }

  /** Registers a further process. */
  async exec(
    execId: string,
    args: readonly string[],
    options: Pick<ContainerOptions, "terminal" | "streams"> & {
      change?: (process: ProcessSpecification) => void;
    } = {},
  ) {
    const terminal = options.terminal ?? false;
    const ends = await makeStreams(this.bundle, execId, terminal, options.streams);
    const contents = processSpecification(args, terminal);
    options.change?.(contents);
    const spec = packJson(specTypeUrl.process, contents);
    await this.task.exec({ id: this.id, execId, terminal, spec, ...ends.streams }, limit);
    return ends;
  }

  /** The topics and messages of the container's events so far. */
  get events(): { topic: string; event: object }[] {
    return this.containerd.events.of(this.id).map(({ topic, event }) => ({ topic, event: fieldsOf(event) }));
  }

  get topics(): string[] {
    return this.events.map(({ topic }) => topic);
  }

  /** Kills and deletes whatever there is, as `ctr tasks delete --force` does. */
  async remove(): Promise<void> {
    try {
      const waiting = this.wait();
      waiting.catch(() => undefined);
      const { status } = await this.state();
      if (status !== Status.STOPPED) {
        if (status === Status.PAUSED) {
          await this.task.resume({ id: this.id }, limit);
        }
        await this.kill(9, { all: true });
        // A task that was never started does not exit.
        await Promise.race([waiting, sleep(status === Status.CREATED ? 500 : 30_000)]);
      }
      await this.delete();
    } catch (error) {
      const gone = [StatusCode.NotFound, StatusCode.Unavailable] as number[];
      if (!(error instanceof TtrpcError && gone.includes(error.code))) {
        throw error;
      }
    }
  }

  disconnect(): void {
    this.stdin?.close();
    this.stdout?.close();
    this.stderr?.close();
    this.connection.close();
  }
}

/** A message without what names its type. */
export function fieldsOf<Shape extends Message>(message: Shape): Omit<Shape, "$typeName"> {
  return Object.fromEntries(Object.entries(message).filter(([name]) => name !== "$typeName")) as Omit<
    Shape,
    "$typeName"
  >;
}

interface StreamEnds {
  readonly streams: Streams;
  readonly stdin: FifoWriter | undefined;
  readonly stdout: FifoReader | undefined;
  readonly stderr: FifoReader | undefined;
}

/** Fifos for the streams a test does not name, opened as a client does: before the shim. */
async function makeStreams(
  bundle: string,
  name: string,
  terminal: boolean,
  given: ContainerOptions["streams"],
): Promise<StreamEnds> {
  if (given === "none") {
    return {
      streams: { stdin: "", stdout: "", stderr: "" },
      stdin: undefined,
      stdout: undefined,
      stderr: undefined,
    };
  }
  const fifo = async (stream: keyof Streams): Promise<string> =>
    given?.[stream] ?? (terminal && stream === "stderr" ? "" : makeFifo(join(bundle, `${name}-${stream}`)));
  const streams = { stdin: await fifo("stdin"), stdout: await fifo("stdout"), stderr: await fifo("stderr") };
  const ours = (stream: keyof Streams): boolean => given?.[stream] === undefined && streams[stream] !== "";
  return {
    streams,
    stdin: ours("stdin") ? new FifoWriter(streams.stdin) : undefined,
    stdout: ours("stdout") ? new FifoReader(streams.stdout) : undefined,
    stderr: ours("stderr") ? new FifoReader(streams.stderr) : undefined,
  };
}

/** Whether a process ends in that time; one that only its parent has not noticed yet has. */
export async function endsWithin(pid: number, milliseconds: number): Promise<boolean> {
  for (const deadline = performance.now() + milliseconds; performance.now() < deadline;) {
    if (!(await isAlive(pid))) {
      return true;
    }
    await sleep(10);
  }
  return !(await isAlive(pid));
}

export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}

/** What is mounted below a folder. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
}

async function unmountBelow(folder: string): Promise<void> {
  for (const path of (await mountsBelow(folder)).reverse()) {
    await check(["umount", "--lazy", path]);
  }
}
