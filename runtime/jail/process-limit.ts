import { integerOf, parseLossless, stringifyLossless } from "../../oci/lossless.js";
import { messageOf, RuntimeError } from "../errors.js";
import { fieldsOf, type Fields } from "./fields.js";

/**
 * A process's machine starts a task of the kernel's own for an instant, which counts under the limit of
 * processes. Without room for it a program that just keeps its limit would wait for ever, so the group's limit
 * is a little higher than what was asked for: by what a few forks at once need.
 */
export const ROOM_FOR_MACHINES = 4n;

/** The same `linux.resources`, with room for machines under its limit of processes, if there is one. */
export function withRoomForMachines(resources: Fields): Fields {
  const pids = fieldsOf(resources["pids"]);
  const limit = integerOf(pids?.["limit"]);
  // Zero and below is no limit.
  if (limit === undefined || limit <= 0n) return resources;
  return { ...resources, pids: { ...pids, limit: limit + ROOM_FOR_MACHINES } };
}

/**
 * {@link withRoomForMachines} for the JSON of a client's update.
 *
 * @throws RuntimeError `invalid-argument` when it is none
 */
export function updatedResources(document: Uint8Array): Uint8Array {
  let resources: Fields | undefined;
  try {
    resources = fieldsOf(parseLossless(document));
  } catch (error) {
    throw new RuntimeError("invalid-argument", `bad resources: ${messageOf(error)}`);
  }
  if (resources === undefined) throw new RuntimeError("invalid-argument", "resources are no JSON object");
  return Buffer.from(stringifyLossless(withRoomForMachines(resources)));
}
