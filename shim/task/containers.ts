import type { Container } from "../../runtime/container.js";
import { RuntimeError } from "../../runtime/errors.js";

/** A container and what only the shim's clients know of it. */
export interface Entry {
  readonly container: Container;
  /** Streams as they were asked for, by exec id; the first process has "". */
  readonly streams: Map<string, RequestedStreams>;
}

/** Streams as a request names them. */
export interface RequestedStreams {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** The containers of this daemon, those still being made included. */
export class Containers {
  readonly #entries = new Map<string, Entry | undefined>();
  readonly #onEmpty: () => void;

  /** @param onEmpty - called when the last one is gone */
  constructor(onEmpty: () => void) {
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Makes one under a name that nobody else can take meanwhile.
   *
   * @throws RuntimeError `already-exists`; whatever `make` throws
   */
  async add(id: string, make: () => Promise<Entry>): Promise<Entry> {
    if (this.#entries.has(id)) {
      throw new RuntimeError("already-exists", `container ${id} already exists`);
    }
    this.#entries.set(id, undefined);
    try {
      const entry = await make();
      this.#entries.set(id, entry);
      return entry;
    } catch (error) {
      this.remove(id);
      throw error;
    }
  }

  /** @throws RuntimeError `not-found`, also while it is still being made */
  get(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new RuntimeError("not-found", `container ${id} does not exist`);
    }
    return entry;
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  remove(id: string): void {
    if (this.#entries.delete(id) && this.#entries.size === 0) {
      this.#onEmpty();
    }
  }
}
