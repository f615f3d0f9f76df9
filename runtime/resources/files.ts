import { readFile } from "node:fs/promises";
import { systemCodeOf } from "../errors.js";

/** What cgroup files write for "no limit". */
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** A file of a control group, or undefined when this kernel or group has no such file. */
export async function readGroupFile(
  directory: string | undefined,
  name: string,
): Promise<string | undefined> {
  if (directory === undefined) {
    return undefined;
  }
  try {
    return await readFile(`${directory}/${name}`, "utf8");
  } catch (error) {
    switch (systemCodeOf(error)) {
      // EOPNOTSUPP: the file is there, its feature is off.
      case "ENOENT":
      case "ENODEV":
      case "EOPNOTSUPP":
      case "ENOTSUP":
        return undefined;
      default:
        throw error;
    }
  }
}

/** A file that holds one number; `max` is 2^64 - 1, what cannot be read is 0. */
export function numberIn(text: string | undefined): bigint {
  const value = text?.trim() ?? "";
  if (value === "max") {
    return UNLIMITED;
  }
  return /^\d+$/.test(value) ? BigInt(value) : 0n;
}

/** A file of `name number` lines. */
export function keyedNumbers(text: string | undefined): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of (text ?? "").split("\n")) {
    const [name, value] = line.split(" ");
    if (name !== undefined && value !== undefined) {
      values.set(name, numberIn(value));
    }
  }
  return values;
}

/** A file of `device name=number name=number …` lines. */
export function nestedNumbers(text: string | undefined): ReadonlyMap<string, ReadonlyMap<string, bigint>> {
  const values = new Map<string, ReadonlyMap<string, bigint>>();
  for (const line of (text ?? "").split("\n")) {
    const [name, ...pairs] = line.trim().split(" ");
    if (name !== undefined && name !== "") {
      const entries = pairs.map((pair): [string, bigint] => {
        const [key, value] = pair.split("=");
        return [key ?? "", numberIn(value)];
      });
      values.set(name, new Map(entries));
    }
  }
  return values;
}
