import type { Settings } from "./schema.js";

/** An architecture as OCI images name it, and the program that runs its programs. */
export interface ConfiguredTranslator {
  readonly architecture: `${keyof Settings["translators"]}`;
  /** An absolute path on the host. */
  readonly interpreter: string;
  /** Letters of the kernel's binfmt_misc: P, O, C, F. */
  readonly flags: string;
}

/** What qemu-user understands: argv[0] is kept, the program comes opened. */
const usualFlags = "PO";

/** `PATH` or `PATH:FLAGS`; undefined for anything else. */
export function parseTranslator(value: string): { interpreter: string; flags: string } | undefined {
  const parts = /^(\/[^:\0\n]*)(?::([POCF]+))?$/.exec(value);
  return parts?.[1] === undefined ? undefined : { interpreter: parts[1], flags: parts[2] ?? usualFlags };
}

/** The translators that tine.toml names. */
export function configuredTranslators(settings: Settings): ConfiguredTranslator[] {
  const entries = Object.entries(settings.translators) as [ConfiguredTranslator["architecture"], string][];
  return entries.flatMap(([architecture, value]) => {
    const parsed = parseTranslator(value);
    return parsed === undefined ? [] : [{ architecture, ...parsed }];
  });
}
