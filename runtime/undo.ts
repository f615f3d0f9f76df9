import { messageOf } from "./errors.js";

/**
 * What to take back, last first, unless the work it belongs to is completed.
 * Taking one thing back may fail without keeping the others from it.
 */
export class Undo implements AsyncDisposable {
  readonly #report: (line: string) => void;
  #steps: (() => void | Promise<void>)[] = [];
  #last: (() => void) | undefined;

  /** @param report - told of steps that fail */
  constructor(report: (line: string) => void) {
    this.#report = report;
  }

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  /** Adds the step that says that everything was taken back: it is left out when something was not. */
  addLast(step: () => void): void {
    this.#last = step;
  }

  /** All is well: nothing will be taken back. */
  keep(): void {
    this.#steps = [];
    this.#last = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        this.#last = undefined;
        this.#report(`cleaning up: ${messageOf(error)}`);
      }
    }
    this.#last?.();
  }
}
