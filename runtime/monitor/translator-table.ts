import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ConfiguredTranslator } from "../../config/translators.js";

/** The kernel's registrations, where that file system is mounted. */
const hostTable = "/proc/sys/fs/binfmt_misc";

/** How many translators a monitor can hold open (kMostTranslators in native/vmm/process/descriptors.h). */
export const mostTranslators = 8;

/** One registration of binfmt_misc. */
export interface Registration {
  readonly interpreter: string;
  /** Letters of P, O, C, F. */
  readonly flags: string;
  /** Whether it is opened on the host (F, or named in tine.toml), so that an image needs nothing inside. */
  readonly opened: boolean;
  /** As /proc/sys/fs/binfmt_misc/NAME shows it. */
  readonly text: string;
}

/** What the ELF header of an architecture says: class, byte order, machine (<elf.h>). */
interface ElfKind {
  readonly bits: 32 | 64;
  readonly bigEndian?: true;
  readonly machine: number;
}

/** In the order in which their translators get the places there are. */
const architectures: Readonly<Record<ConfiguredTranslator["architecture"], ElfKind>> = {
  arm64: { bits: 64, machine: 183 },
  amd64: { bits: 64, machine: 62 },
  arm: { bits: 32, machine: 40 },
  386: { bits: 32, machine: 3 },
  riscv64: { bits: 64, machine: 243 },
  ppc64le: { bits: 64, machine: 21 },
  s390x: { bits: 64, bigEndian: true, machine: 22 },
  mips64le: { bits: 64, machine: 8 },
  loong64: { bits: 64, machine: 258 },
};

/** The order does not matter to JavaScript's integer-like keys, so it is written down. */
const preferred = [
  "arm64",
  "amd64",
  "arm",
  "386",
  "riscv64",
  "ppc64le",
  "s390x",
  "mips64le",
  "loong64",
] as const;

/** What tine.toml names comes first and so takes precedence. */
export function registrations(configured: readonly ConfiguredTranslator[]): Registration[] {
  return [...configured.map(registrationOf), ...hostRegistrations()];
}

/** A registration as the kernel would show it. */
function registrationOf({ architecture, interpreter, flags }: ConfiguredTranslator): Registration {
  const { bits, bigEndian, machine } = architectures[architecture];
  const half = (value: number, mask = false): number[] =>
    bigEndian === true ? [mask ? 0xff : value >> 8, value & 0xff] : [value & 0xff, mask ? 0xff : value >> 8];
  const magic = [
    0x7f,
    0x45,
    0x4c,
    0x46,
    bits === 64 ? 2 : 1,
    bigEndian === true ? 2 : 1,
    1,
    0,
    ...Array<number>(8).fill(0),
    ...half(2),
    ...half(machine),
  ];
  // Any operating system's ABI; ET_EXEC and ET_DYN differ in the lowest bit.
  const mask = [
    ...Array<number>(7).fill(0xff),
    0,
    ...Array<number>(8).fill(0xff),
    ...half(0xfe, true),
    0xff,
    0xff,
  ];
  const text = [
    "enabled",
    `interpreter ${interpreter}`,
    `flags: ${flags}`,
    "offset 0",
    `magic ${hex(magic)}`,
    `mask ${hex(mask)}`,
    "",
  ].join("\n");
  return { interpreter, flags, opened: true, text };
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString("hex");
}

/** What is registered and in force, the newest first, as the kernel looks. */
function hostRegistrations(): Registration[] {
  let names: string[];
  try {
    if (readFileSync(join(hostTable, "status"), "utf8") !== "enabled\n") return [];
    names = readdirSync(hostTable);
  } catch {
    return []; // not mounted
  }
  return names
    .filter((name) => name !== "register" && name !== "status")
    .flatMap((name) => {
      const registration = readRegistration(join(hostTable, name));
      return registration === undefined ? [] : [registration];
    });
}

function readRegistration(path: string): Registration | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // removed meanwhile
  }
  const interpreter = /^interpreter (.*)$/m.exec(text)?.[1];
  if (!text.startsWith("enabled\n") || interpreter === undefined) return undefined;
  const flags = /^flags: (\w*)$/m.exec(text)?.[1] ?? "";
  return { interpreter, flags, opened: flags.includes("F"), text: text.endsWith("\n") ? text : `${text}\n` };
}

/** Which of them get a place, by index: those of common architectures before others. */
export function placed(all: readonly Registration[]): Set<number> {
  const rank = ({ text }: Registration): number => {
    const magic = /^magic ([0-9a-f]+)$/m.exec(text)?.[1];
    const known = preferred.findIndex(
      (architecture) => magic === /^magic ([0-9a-f]+)$/m.exec(elfText(architecture))?.[1],
    );
    return known < 0 ? preferred.length : known;
  };
  const indices = all.flatMap((registration, index) =>
    registration.opened ? [{ index, rank: rank(registration) }] : [],
  );
  indices.sort((a, b) => a.rank - b.rank || a.index - b.index);
  return new Set(indices.slice(0, mostTranslators).map(({ index }) => index));
}

function elfText(architecture: ConfiguredTranslator["architecture"]): string {
  return registrationOf({ architecture, interpreter: "/", flags: "" }).text;
}
