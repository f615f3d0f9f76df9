import type { Exit } from "../native/addon/children.js";
import { updatedResources } from "./jail/process-limit.js";
import { RuntimeError } from "./errors.js";
import type { ContainerListener } from "./events.js";
import { removeJailRecord } from "./jail/record.js";
import type { JailedContainer } from "./jail/jailed-container.js";
import { Process, type ProcessState } from "./process.js";
import type { Statistics } from "./resources/container-resources.js";
import { StateMachine, type StateTable } from "./state-table.js";
import type { ProcessStdio } from "./stdio.js";

/** Where a container is in its life. */
export type ContainerState =
  "created" | "running" | "pausing" | "paused" | "resuming" | "stopped" | "deleted";

/** What moves it on. */
export type ContainerStep = "start" | "pause" | "paused" | "resume" | "resumed" | "stop" | "delete";

/**
 * The life of a container. A pause or a resume that fails leads back by the
 * step that ends its opposite. `created` may be deleted: nothing of the image
 * has run.
 */
export const CONTAINER_STATES: StateTable<ContainerState, ContainerStep> = {
  created: { start: "running", stop: "stopped", delete: "deleted" },
  running: { pause: "pausing", stop: "stopped" },
  pausing: { paused: "paused", resumed: "running", stop: "stopped" },
  paused: { resume: "resuming", stop: "stopped" },
  resuming: { resumed: "running", paused: "paused", stop: "stopped" },
  stopped: { delete: "deleted" },
  deleted: {},
};

const SIGKILL = 9;

/** How long deleting waits for output that somebody else still holds open, milliseconds. */
const DRAIN_LIMIT = 2000;

/** A further process that was registered, and what it takes to start it. */
interface Exec {
  readonly process: Process;
  /** JSON of an OCI runtime-spec Process. */
  readonly document: Uint8Array;
  readonly terminal: boolean;
  readonly openStdio: () => Promise<ProcessStdio>;
}

/** One container: a tree of monitors inside one jail. See {@link createContainer}. */
export class Container {
  /** The first process. */
  readonly init: Process;
  readonly #jailed: JailedContainer;
  readonly #tell: ContainerListener;
  readonly #machine = new StateMachine(CONTAINER_STATES, "created", refusal);
  readonly #execs = new Map<string, Exec>();
  readonly #memoryWatch: Disposable;
  /** Settled whenever no start of the first process is under way. */
  #starting: Promise<void> = Promise.resolve();
  #deletion: Promise<void> | undefined;

  /**
   * @param jailed - the jail, with `init` waiting in it
   * @param tell - is told everything that happens from here on
   */
  constructor(
    readonly id: string,
    readonly bundle: string,
    init: Process,
    jailed: JailedContainer,
    tell: ContainerListener,
  ) {
    this.init = init;
    this.#jailed = jailed;
    this.#tell = tell;
    this.#memoryWatch = jailed.resources.watchOutOfMemory(() => tell({ type: "out-of-memory" }));
    tell({ type: "created", pid: init.pid });
    init.whenChildExits((exit) => void this.#initExited(exit));
  }

  get state(): ContainerState {
    return this.#machine.state;
  }

  /** The processes that are not deleted, the first one included. */
  get processes(): readonly Process[] {
    return [this.init, ...[...this.#execs.values()].map(({ process }) => process)];
  }

  /**
   * The container's process of that name.
   *
   * @param execId - empty for the first
   * @throws RuntimeError `not-found`
   */
  process(execId: string): Process {
    return execId === "" ? this.init : this.#exec(execId).process;
  }

  /** What clients are told of a process: its own state, or the container's while that is frozen. */
  stateOf(process: Process): ProcessState | "paused" | "pausing" {
    const { state } = this;
    return process.state === "running" && (state === "paused" || state === "pausing") ? state : process.state;
  }

  /**
   * Registers a further process; {@link start} runs it.
   *
   * @param document - JSON of an OCI runtime-spec Process
   * @throws RuntimeError `already-exists`; `failed-precondition` when the first process is over
   */
  addExec(
    execId: string,
    document: Uint8Array,
    terminal: boolean,
    openStdio: () => Promise<ProcessStdio>,
  ): void {
    if (this.#execs.has(execId)) {
      throw new RuntimeError("already-exists", `exec ${execId} already exists`);
    }
    this.#mustLive();
    const process = new Process(execId);
    this.#execs.set(execId, { process, document, terminal, openStdio });
    this.#tell({ type: "exec-added", process });
  }

  /**
   * Starts a process.
   *
   * @param execId - empty for the first
   * @returns its pid on the host
   */
  async start(execId: string): Promise<number> {
    return execId === "" ? this.#startInit() : this.#startExec(this.#exec(execId));
  }

  /**
   * Sends a signal to a process, or to every process of the container.
   *
   * @throws RuntimeError as {@link Process.signal}
   */
  async kill(execId: string, signal: number, everyProcess: boolean): Promise<void> {
    const process = this.process(execId);
    // A frozen process takes no signal on version 1 hierarchies, not even
    // SIGKILL; runc knows to thaw it for that one.
    const frozen = this.state === "paused" || this.state === "pausing";
    const byRunc = everyProcess || (frozen && signal === SIGKILL);
    if (execId === "" && process.exit === undefined && byRunc) {
      await this.#jailed.runc.kill(this.id, signal, everyProcess);
    } else {
      process.signal(signal);
    }
  }

  /** Freezes every process of the container. */
  async pause(): Promise<void> {
    this.#machine.fire("pause");
    try {
      await this.#jailed.runc.pause(this.id);
    } catch (error) {
      this.#move("resumed");
      throw error;
    }
    if (this.#move("paused")) {
      this.#tell({ type: "paused" });
    }
  }

  /** Thaws them. */
  async resume(): Promise<void> {
    this.#machine.fire("resume");
    try {
      await this.#jailed.runc.resume(this.id);
    } catch (error) {
      this.#move("paused");
      throw error;
    }
    if (this.#move("resumed")) {
      this.#tell({ type: "resumed" });
    }
  }

  /** @param resources - JSON of an OCI runtime-spec LinuxResources */
  async update(resources: Uint8Array): Promise<void> {
    this.#mustLive();
    await this.#jailed.runc.update(this.id, updatedResources(resources));
  }

  /**
   * The host's identifiers of all processes in the container. None once it has stopped: containerd asks when it
   * comes back, and takes an error for one that may be there still.
   *
   * @throws RuntimeError `not-found` when there is no control group any more
   */
  async pids(): Promise<readonly number[]> {
    return this.#jailed.resources.processes();
  }

  /** @throws RuntimeError `not-found` when there is no control group any more */
  async statistics(): Promise<Statistics> {
    return this.#jailed.resources.statistics();
  }

  /**
   * Deletes a process that has stopped, or never ran. The first process takes
   * the container along.
   *
   * @param execId - empty for the first
   * @throws RuntimeError `invalid-transition` while it runs
   */
  async delete(execId: string): Promise<Process> {
    const process = this.process(execId);
    if (!process.allows("delete")) {
      throw new RuntimeError("invalid-transition", `cannot delete a ${process.state} process`);
    }
    if (process === this.init) {
      this.#deletion ??= this.#deleteAll().catch((error: unknown) => {
        this.#deletion = undefined;
        throw error;
      });
      await this.#deletion;
    } else {
      if (process.state === "created") {
        // It will never run: whoever waits for it must not wait for ever.
        process.end(failedStart());
      }
      process.fire("delete");
      this.#execs.delete(execId);
      await closeStdio(process);
    }
    return process;
  }

  /**
   * Somebody else has done away with the container: releases what is held for
   * it, and tells nobody. Its processes are dead.
   */
  async abandon(): Promise<void> {
    this.#deletion ??= this.#release();
    await this.#deletion.catch(() => undefined);
  }

  async #startInit(): Promise<number> {
    this.init.fire("start");
    const starting = this.#jailed.start().then(
      () => {
        this.init.fire("started");
        this.#machine.fire("start");
        this.#tell({ type: "started", pid: this.init.pid });
      },
      (error: unknown) => {
        this.init.fire("refused");
        throw error;
      },
    );
    this.#starting = starting.catch(() => undefined);
    await starting;
    return this.init.pid;
  }

  async #startExec({ process, document, terminal, openStdio }: Exec): Promise<number> {
    this.#mustLive();
    if (this.state === "paused" || this.state === "pausing") {
      throw new RuntimeError("failed", "cannot exec in a paused state");
    }
    process.fire("start");
    try {
      process.stdio = await openStdio();
      await this.#jailed.exec(process, process.stdio, document, terminal, this.init.pid);
    } catch (error) {
      // Whoever waits for it must not wait for ever.
      process.end(failedStart());
      await process.stdio?.close();
      throw error;
    }
    process.fire("started");
    this.#tell({ type: "exec-started", process });
    process.whenChildExits((exit) => void this.#end(process, exit));
    return process.pid;
  }

  async #initExited(exit: Exit): Promise<void> {
    await this.#starting;
    if (!this.#jailed.ownPidNamespace) {
      // Nothing to kill is the usual case, and runc's error then.
      await this.#jailed.runc.kill(this.id, SIGKILL, true).catch(() => undefined);
    }
    // Their pid namespace is gone, or they were killed: none of them lives on.
    const others = [...this.#execs.values()].map(({ process }) => process);
    const alive = others.filter(({ state }) => state === "starting" || state === "running");
    await Promise.all(alive.map((process) => process.stopped));
    this.#machine.fire("stop");
    await this.#end(this.init, exit);
  }

  /** Its output comes before the news of its end. */
  async #end(process: Process, exit: Exit): Promise<void> {
    // Whatever becomes of the output, the end is told.
    await process.stdio?.settled().catch(() => undefined);
    process.end(exit);
    this.#tell({ type: "exited", process, exit });
  }

  async #deleteAll(): Promise<void> {
    await this.#jailed.remove();
    // One that never ran was killed by that.
    const exit = await this.init.stopped;
    await this.#release();
    removeJailRecord(this.bundle);
    this.init.fire("delete");
    this.#machine.fire("delete");
    this.#tell({ type: "deleted", pid: this.init.pid, exit });
  }

  async #release(): Promise<void> {
    this.#memoryWatch[Symbol.dispose]();
    await Promise.all(this.processes.map(closeStdio));
    this.#jailed.close();
  }

  #exec(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) {
      throw new RuntimeError("not-found", `process ${execId} does not exist`);
    }
    return exec;
  }

  #mustLive(): void {
    if (this.state === "stopped" || this.state === "deleted") {
      throw new RuntimeError("failed-precondition", "the container is not running");
    }
  }

  /** Moves on if that is possible still: the container may have stopped meanwhile. */
  #move(step: ContainerStep): boolean {
    const possible = this.#machine.allows(step);
    if (possible) {
      this.#machine.fire(step);
    }
    return possible;
  }
}

/** What a process that could not be started is said to have ended with. */
function failedStart(): Exit {
  return { status: 255, signal: null, at: Date.now() };
}

async function closeStdio({ stdio }: Process): Promise<void> {
  if (stdio === undefined) {
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, DRAIN_LIMIT);
  });
  await Promise.race([stdio.drained, limit]);
  clearTimeout(timer);
  await stdio.close();
}

function refusal(step: ContainerStep, state: ContainerState): string {
  return `cannot ${step} a ${state} container`;
}
