import { closeSync, openSync } from "node:fs";
import type { ConfiguredTranslator } from "../../config/translators.js";
import { addon } from "../../native/addon/addon.js";
import { messageOf, RuntimeError } from "../errors.js";
import { SealedProgram } from "./sealed-program.js";
import { placed, registrations, type Registration } from "./translator-table.js";

/** What a monitor inherits in order to run programs of other architectures. */
export interface InheritedTranslators {
  /** The table, then the interpreters it numbers; the caller closes them. */
  readonly descriptors: readonly number[];
}

/** Interpreters of the host, as containers get them. */
export class Translators {
  readonly #copies = new Map<string, SealedProgram>();

  /**
   * Opens the table and its interpreters. A container gets copies; with `F` in
   * tine.toml the host's very file, which some check what they are.
   *
   * @param configured - from tine.toml
   * @param first - the number that the first descriptor will have in the monitor
   * @returns undefined when there are none
   * @throws RuntimeError `failed` when tine.toml names a program that cannot be read
   */
  open(configured: readonly ConfiguredTranslator[], first: number): InheritedTranslators | undefined {
    return this.#openAll(
      configured,
      ({ interpreter, flags }, own) =>
        own && flags.includes("F") ? openSync(interpreter, "r") : this.#openCopy(interpreter),
      (_, index) => first + 1 + index,
    );
  }

  /**
   * The same for a monitor that this process becomes: the host's files, under
   * the numbers they have here.
   */
  openHere(configured: readonly ConfiguredTranslator[]): InheritedTranslators | undefined {
    return this.#openAll(
      configured,
      ({ interpreter }) => openSync(interpreter, "r"),
      (descriptor) => descriptor,
    );
  }

  #openAll(
    configured: readonly ConfiguredTranslator[],
    openOne: (registration: Registration, own: boolean) => number,
    numberOf: (descriptor: number, index: number) => number,
  ): InheritedTranslators | undefined {
    const all = registrations(configured);
    if (all.length === 0) {
      return undefined;
    }
    const places = placed(all);
    const interpreters: number[] = [];
    try {
      const parts = all.map((registration, index) => {
        if (!places.has(index)) {
          return registration.text;
        }
        const own = index < configured.length;
        let descriptor: number;
        try {
          descriptor = openOne(registration, own);
        } catch (error) {
          if (!own) {
            return registration.text; // the host's registration leads nowhere any more
          }
          const { interpreter } = registration;
          throw new RuntimeError(
            "failed",
            `the translator ${interpreter} cannot be used: ${messageOf(error)}`,
          );
        }
        interpreters.push(descriptor);
        return `descriptor ${numberOf(descriptor, interpreters.length - 1)}\n${registration.text}`;
      });
      const table = addon.sealedMemory("translators", Buffer.from(parts.join("")));
      return { descriptors: [table, ...interpreters] };
    } catch (error) {
      interpreters.forEach((descriptor) => closeSync(descriptor));
      throw error;
    }
  }

  #openCopy(path: string): number {
    let copy = this.#copies.get(path);
    if (copy === undefined) {
      // native/vmm/procfs shows what follows the colon as /proc/PID/exe.
      copy = new SealedProgram(`tine:${path}`);
      this.#copies.set(path, copy);
    }
    return copy.open(path);
  }
}
