import { RuntimeError } from "./errors.js";

/** For each state, the events it knows and the state each leads to. */
export type StateTable<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/** One thing's walk through a state table. */
export class StateMachine<State extends string, Event extends string> {
  readonly #table: StateTable<State, Event>;
  readonly #refusal: (event: Event, state: State) => string;
  #state: State;

  /**
   * @param initial - the state to begin in
   * @param refusal - the message for an event that the present state does not know
   */
  constructor(
    table: StateTable<State, Event>,
    initial: State,
    refusal: (event: Event, state: State) => string,
  ) {
    this.#table = table;
    this.#state = initial;
    this.#refusal = refusal;
  }

  get state(): State {
    return this.#state;
  }

  /** Whether the present state knows the event. */
  allows(event: Event): boolean {
    return this.#table[this.#state][event] !== undefined;
  }

  /**
   * Moves on.
   *
   * @throws RuntimeError `invalid-transition`, and stays, when the table has no such move
   */
  fire(event: Event): State {
    const next = this.#table[this.#state][event];
    if (next === undefined) {
      throw new RuntimeError("invalid-transition", this.#refusal(event, this.#state));
    }
    this.#state = next;
    return next;
  }
}
