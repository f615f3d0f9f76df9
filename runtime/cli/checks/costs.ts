import { monitor } from "../installation.js";
import { ok, warning, type Finding } from "./finding.js";
import { outputOf } from "./programs.js";

/** What `tine-vmm --costs` prints of whoever runs it, in microseconds. */
interface Costs {
  readonly call_us: number;
  readonly clock_us: number;
}

/**
 * What a cheap system call and the clock cost: here, and in a microVM for each way in which calls can be made
 * (docs/exitless.md). `auto` is what containers get.
 */
export async function checkCosts(): Promise<Finding[]> {
  const here = await costs([]);
  const [off, auto, on] = [await inside("off"), await inside("auto"), await inside("on")];
  if (here === undefined || off === undefined || auto === undefined || on === undefined) {
    return [warning("calls", "their cost cannot be measured", "tine do -- /bin/true tells what is wrong")];
  }
  const calls = [
    `a call that leaves the microVM costs ${off.call_us.toFixed(1)} µs`,
    `one that stays in it ${on.call_us.toFixed(2)} µs`,
    `with calls.exitless = auto, now, ${auto.call_us.toFixed(2)} µs`,
    `on the host ${here.call_us.toFixed(2)} µs`,
  ];
  const clock = `the clock is read in ${off.clock_us.toFixed(3)} µs, on the host in ${here.clock_us.toFixed(3)} µs`;
  return [ok("calls", calls.join("; ")), ok("clock", clock)];
}

function inside(exitless: string): Promise<Costs | undefined> {
  return costs([`--exitless=${exitless}`, "--", monitor]);
}

async function costs(before: readonly string[]): Promise<Costs | undefined> {
  const { status, stdout } = await outputOf(monitor, [...before, "--costs"]);
  if (status !== 0) return undefined;
  try {
    const { call_us: call, clock_us: clock } = JSON.parse(stdout) as Partial<Costs>;
    return typeof call === "number" && typeof clock === "number"
      ? { call_us: call, clock_us: clock }
      : undefined;
  } catch {
    return undefined;
  }
}
