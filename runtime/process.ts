import type { Child, Exit } from "../native/addon/children.js";
import { RuntimeError, systemCodeOf } from "./errors.js";
import { StateMachine, type StateTable } from "./state-table.js";
import type { ProcessStdio } from "./stdio.js";

/** Where a process is in its life. */
export type ProcessState = "created" | "starting" | "running" | "stopped" | "deleted";

/** What moves it on. */
export type ProcessEvent = "start" | "started" | "refused" | "exited" | "delete";

/**
 * The life of a process, a container's first one or a further one.
 *
 * A first process exists from `created` on, so it may exit before it is
 * started; a further one exists from `starting` on. `refused` is a start that
 * failed and left a first process as it was.
 */
export const PROCESS_STATES: StateTable<ProcessState, ProcessEvent> = {
  created: { start: "starting", exited: "stopped", delete: "deleted" },
  starting: { started: "running", refused: "created", exited: "stopped" },
  running: { exited: "stopped" },
  stopped: { delete: "deleted" },
  deleted: {},
};

/** One process of a container, as its clients see it. */
export class Process {
  readonly #machine = new StateMachine(PROCESS_STATES, "created", refusal);
  readonly #stopped: Promise<Exit>;
  #resolveStopped: (exit: Exit) => void = () => undefined;
  #child: Child | undefined;
  #exit: Exit | undefined;

  /** Its standard streams; a further process opens them when it starts. */
  stdio: ProcessStdio | undefined;

  /** @param id - empty for a container's first process */
  constructor(readonly id: string) {
    this.#stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
  }

  get state(): ProcessState {
    return this.#machine.state;
  }

  /** The host's process identifier; 0 while there is none. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** How it ended; undefined before. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Resolves when it has stopped, whenever that is asked. */
  get stopped(): Promise<Exit> {
    return this.#stopped;
  }

  /** Binds the real process; it can be signalled from here on. */
  adopt(child: Child): void {
    this.#child = child;
  }

  /**
   * Calls back when the real process has ended, which is before this one is
   * `stopped`: {@link end} makes it so, in its turn among the events.
   */
  whenChildExits(then: (exit: Exit) => void): void {
    void this.#child?.exited.then(then);
  }

  /** Moves on; see {@link PROCESS_STATES}. `exited` goes through {@link end}. */
  fire(event: Exclude<ProcessEvent, "exited">): void {
    this.#machine.fire(event);
  }

  /** Whether the event is possible now. */
  allows(event: ProcessEvent): boolean {
    return this.#machine.allows(event);
  }

  /** It is over: releases everyone who waits. */
  end(exit: Exit): void {
    this.#machine.fire("exited");
    this.#exit = exit;
    this.#resolveStopped(exit);
  }

  /**
   * Sends a signal to this very process.
   *
   * @throws RuntimeError `failed-precondition` before it exists, `not-found` when it is over,
   *   `invalid-argument` for no such signal
   */
  signal(number: number): void {
    if (this.#exit !== undefined || this.state === "deleted") {
      throw alreadyFinished();
    }
    if (this.#child === undefined) {
      throw new RuntimeError("failed-precondition", "process not created");
    }
    try {
      this.#child.signal(number);
    } catch (error) {
      switch (systemCodeOf(error)) {
        case "ESRCH":
          throw alreadyFinished();
        case "EINVAL":
          throw new RuntimeError("invalid-argument", `there is no signal ${number}`);
        default:
          throw error;
      }
    }
  }
}

function alreadyFinished(): RuntimeError {
  return new RuntimeError("not-found", "process already finished");
}

function refusal(event: ProcessEvent, state: ProcessState): string {
  return `cannot ${event} a ${state} process`;
}
