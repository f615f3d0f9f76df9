import { messageOf, RuntimeError } from "../errors.js";
import { SealedProgram } from "./sealed-program.js";

/** The monitor's program, as containers get it. */
export class MonitorBinary {
  readonly #program = new SealedProgram("tine-vmm");

  /**
   * A descriptor of its own for one process.
   *
   * @param path - the program's file
   * @throws RuntimeError `failed` when it cannot be read
   */
  open(path: string): number {
    try {
      return this.#program.open(path);
    } catch (error) {
      throw new RuntimeError("failed", `the monitor ${path} cannot be used: ${messageOf(error)}`);
    }
  }
}
