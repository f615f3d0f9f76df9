import { readFigures, type CallCount, type Figures, type ForkTime } from "../fork/board.js";
import { strategies, type Strategy } from "../fork/strategy.js";
import { ContainerResources } from "./container-resources.js";
import { usageOf, type Usage } from "./usage.js";

/** Forks that processes have made. */
export interface ForkCount {
  readonly count: number;
  /** What those took, from the call to the child's first word; undefined where the processor's clock is not known. */
  readonly seconds: number | undefined;
}

/** What the processes that live have made of forks. */
export interface ForkFigures extends ForkCount {
  /** What half of them took at most, nine of ten, and 99 of 100; undefined without forks, and as `seconds`. */
  readonly percentiles: ForkPercentiles | undefined;
  /** Bytes that were copied at once, not left shared, for those processes that came from forks. */
  readonly copiedBytes: number;
  /** Each strategy in use, and how many processes fork by it. */
  readonly strategies: Readonly<Partial<Record<Exclude<Strategy, "auto">, number>>>;
}

/** In seconds, to a fifth. */
export interface ForkPercentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** A container as its control group and its monitors count it. */
export interface ContainerFigures extends Usage {
  readonly forks: ForkFigures;
  /** Programs that the processes that live have begun since each was forked. */
  readonly execs: number;
  /** Calls of the processes that live, since each began its program; the most time first. */
  readonly calls: readonly CallCount[];
}

/**
 * Reads them while the container runs.
 *
 * @param pid - a live process of the container
 * @throws RuntimeError `not-found` when it has ended
 */
export async function figuresOf(pid: number): Promise<ContainerFigures> {
  const resources = ContainerResources.of(pid);
  const usage = usageOf(await resources.statistics());
  const figures = (await resources.processes()).flatMap(readIfThere);
  const execs = figures.reduce((sum, each) => sum + each.execs, 0);
  return {
    ...usage,
    forks: forkFigures(figures),
    execs,
    calls: addedUp(figures.flatMap(({ calls }) => calls)),
  };
}

/** A process may end meanwhile, or be runc's on its way into the container. */
function readIfThere(pid: number): Figures[] {
  try {
    return [readFigures(pid)];
  } catch {
    return [];
  }
}

/** The forks of those of the processes that live. */
export function forksOf(pids: readonly number[]): ForkCount {
  return forkCount(pids.flatMap(readIfThere));
}

function forkCount(figures: readonly Figures[]): ForkCount {
  return {
    count: figures.reduce((sum, { forks }) => sum + forks, 0),
    seconds: figures.reduce<number | undefined>((sum, { forkSeconds }) => plus(sum, forkSeconds), 0),
  };
}

function forkFigures(figures: readonly Figures[]): ForkFigures {
  const found: Partial<Record<Exclude<Strategy, "auto">, number>> = {};
  for (const { asked, translated } of figures) {
    const named = strategies[asked] ?? "auto";
    const strategy = named === "auto" ? (translated ? "selective-cow" : "cow") : named;
    found[strategy] = (found[strategy] ?? 0) + 1;
  }
  return {
    ...forkCount(figures),
    percentiles: percentilesOf(figures.flatMap(({ forkTimes }) => forkTimes)),
    copiedBytes: figures.reduce((sum, { copied }) => sum + copied, 0),
    strategies: found,
  };
}

/** Of forks sorted into classes by what they took. */
export function percentilesOf(times: readonly ForkTime[]): ForkPercentiles | undefined {
  const sorted = [...times].sort((a, b) => a.seconds - b.seconds);
  const total = sorted.reduce((sum, { count }) => sum + count, 0);
  const longest = sorted.at(-1);
  if (longest === undefined) return undefined;
  const at = (share: number): number => {
    let seen = 0;
    for (const { seconds, count } of sorted) if ((seen += count) >= total * share) return seconds;
    return longest.seconds;
  };
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) };
}

function addedUp(calls: readonly CallCount[]): CallCount[] {
  const sums = new Map<number, CallCount>();
  for (const call of calls) {
    const sum = sums.get(call.number);
    sums.set(
      call.number,
      sum === undefined
        ? call
        : {
            number: call.number,
            exits: sum.exits + call.exits,
            posted: sum.posted + call.posted,
            seconds: plus(sum.seconds, call.seconds),
          },
    );
  }
  return [...sums.values()].sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0) || a.number - b.number);
}

function plus(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}
