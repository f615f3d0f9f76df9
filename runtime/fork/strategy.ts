import { RuntimeError } from "../errors.js";

/** How a forked child gets its memory; docs/fork.md tells what each costs. */
export const strategies = ["auto", "cow", "selective-cow", "region-copy"] as const;

export type Strategy = (typeof strategies)[number];

/** With this annotation a container says it for itself. */
export const forkAnnotation = "io.tine.fork";

export function isStrategy(word: string): word is Strategy {
  return (strategies as readonly string[]).includes(word);
}

/**
 * The strategy of one container: its annotation's, else that of tine.toml.
 *
 * @throws RuntimeError `invalid-argument` for a word that is none
 */
export function chooseStrategy(annotation: string | undefined, configured: Strategy): Strategy {
  if (annotation === undefined) {
    return configured;
  }
  if (!isStrategy(annotation)) {
    const known = strategies.join(", ");
    throw new RuntimeError(
      "invalid-argument",
      `annotation ${forkAnnotation}: ${JSON.stringify(annotation)} is none of ${known}`,
    );
  }
  return annotation;
}
