/** The runtime-spec's config.json (1.0 to 1.2, Linux): types, and checks that name the field that is wrong. */

import { parseLossless } from "./lossless.js";
import type { Problem, Schema, TypeOf } from "./schema.js";
import { config, type RuntimeConfig } from "./spec/config.js";
import { process, type Process } from "./spec/process.js";
import { resources, type Resources } from "./spec/resources.js";

export type { Hook, Hooks, Mount, RuntimeConfig } from "./spec/config.js";
export type { Device, IdMapping, Linux, Namespace } from "./spec/linux.js";
export type { Capabilities, Process, Rlimit, User } from "./spec/process.js";
export type { BlockIo, Cpu, DeviceRule, Memory, Resources } from "./spec/resources.js";
export type {
  Seccomp,
  SeccompAction,
  SeccompArgument,
  SeccompOperator,
  SeccompRule,
} from "./spec/seccomp.js";
export type { Problem } from "./schema.js";

/** A document that is JSON, but not what the specification wants. */
export class SpecError extends Error {
  override readonly name = "SpecError";
  readonly code = "invalid-spec";

  constructor(
    /** The document: `config.json`. */
    readonly document: string,
    readonly problems: readonly Problem[],
  ) {
    const told = problems.map(({ path, problem }) => `${path === "" ? document : path}: ${problem}`);
    super(
      `${document}: ${told.slice(0, 5).join("; ")}${told.length > 5 ? `; and ${told.length - 5} more` : ""}`,
    );
  }
}

/**
 * Reads a bundle's config.json. What the types do not name is in the result too, so that writing it back loses
 * nothing.
 *
 * @throws {JsonError} when it is not JSON.
 * @throws {SpecError} naming every field that is wrong.
 */
export function parseConfig(text: string | Uint8Array): RuntimeConfig {
  return checked(config, parseLossless(text), "config.json");
}

/** Checks a parsed config.json. @throws {SpecError} naming every field that is wrong. */
export function checkConfig(value: unknown): RuntimeConfig {
  return checked(config, value, "config.json");
}

/** Checks a process, as `Exec` is given one. @throws {SpecError} naming every field that is wrong. */
export function checkProcess(value: unknown): Process {
  return checked(process, value, "process");
}

/** Checks resources, as `Update` is given them. @throws {SpecError} naming every field that is wrong. */
export function checkResources(value: unknown): Resources {
  return checked(resources, value, "resources");
}

function checked<S extends Schema<unknown>>(schema: S, value: unknown, document: string): TypeOf<S> {
  const problems: Problem[] = [];
  schema.check(value, "", (problem) => problems.push(problem));
  if (problems.length > 0) throw new SpecError(document, problems);
  return value as TypeOf<S>;
}
