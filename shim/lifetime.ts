/** How long the daemon stays without containers, milliseconds: making another costs a user 100 of them. */
const LINGER = 10_000;

/** Decides when the daemon has nothing more to do. */
export class Lifetime {
  readonly #isIdle: () => boolean;
  readonly #leave: () => void;
  #stayUntil = performance.now() + LINGER;
  #timer: NodeJS.Timeout | undefined;
  #leaving = false;

  /**
   * @param isIdle - whether there are no containers
   * @param leave - called once, when it is time; what comes after is too late
   */
  constructor(isIdle: () => boolean, leave: () => void) {
    this.#isIdle = isIdle;
    this.#leave = leave;
  }

  /** Whether it was decided to leave. */
  get isOver(): boolean {
    return this.#leaving;
  }

  /**
   * A new container is about to come: stay for ten seconds at least.
   *
   * @returns false when it is too late for that
   */
  hold(): boolean {
    this.#stayUntil = performance.now() + LINGER;
    this.reconsider();
    return !this.#leaving;
  }

  /** To be called when the last container is gone, and once at the beginning. */
  reconsider(): void {
    clearTimeout(this.#timer);
    if (this.#leaving || !this.#isIdle()) {
      return;
    }
    const rest = this.#stayUntil - performance.now();
    if (rest <= 0) {
      this.#end();
    } else {
      this.#timer = setTimeout(() => this.reconsider(), Math.ceil(rest));
    }
  }

  /** Leaves at once if there are no containers. */
  endIfIdle(): void {
    if (!this.#leaving && this.#isIdle()) {
      clearTimeout(this.#timer);
      this.#end();
    }
  }

  #end(): void {
    this.#leaving = true;
    this.#leave();
  }
}
