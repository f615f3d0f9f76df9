import { closeSync, openSync, readSync } from "node:fs";
import { readBoard, type Board, type GuestMapping } from "./board.js";
import { strategies, type Strategy } from "./strategy.js";

/** kVma… of native/vmm/memory/address_space.h. */
const flag = {
  shared: 1,
  file: 2,
  stack: 4,
  heap: 8,
  vdso: 16,
  vvar: 32,
  dontFork: 64,
  wipe: 128,
  sysv: 4096,
  jit: 16384,
};

/** One range of a guest's memory, and what a fork does with it. */
export interface Region {
  readonly start: number;
  readonly end: number;
  /** As /proc/PID/maps shows it: `rw-p`. */
  readonly protection: string;
  readonly kind: string;
  readonly residentBytes: number;
  /** What becomes of it in a forked child. */
  readonly fork: "copied" | "copy-on-write" | "shared" | "wiped" | "not inherited";
  readonly why: string;
}

export interface Regions {
  readonly strategy: Strategy;
  readonly asked: Strategy;
  readonly translated: boolean;
  readonly forks: number;
  readonly copiedBytes: number;
  readonly regions: readonly Region[];
}

/**
 * The memory of a guest process, as its strategy sees it.
 *
 * @param pid - the process's identifier on the host
 * @throws RuntimeError `not-found` when it is no guest's
 */
export function regionsOf(pid: number): Regions {
  const board = readBoard(pid);
  const asked = strategies[board.asked] ?? "auto";
  const strategy = asked === "auto" ? (board.translated ? "selective-cow" : "cow") : asked;
  const pagemap = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    const regions = board.mappings.map((mapping) => ({
      start: mapping.start,
      end: mapping.end,
      protection: protectionOf(mapping),
      kind: kindOf(mapping.flags),
      residentBytes: resident(pagemap, board, mapping),
      ...fateOf(mapping.flags, strategy),
    }));
    const { translated, forks, copied } = board;
    return { strategy, asked, translated, forks, copiedBytes: copied, regions };
  } finally {
    closeSync(pagemap);
  }
}

function protectionOf({ protection, flags }: GuestMapping): string {
  const letters = ["r", "w", "x"].map((letter, bit) => ((protection >> bit) & 1 ? letter : "-"));
  return `${letters.join("")}${flags & flag.shared ? "s" : "p"}`;
}

function kindOf(flags: number): string {
  if (flags & flag.stack) return "stack";
  if (flags & flag.heap) return "heap";
  if (flags & flag.vdso) return "vdso";
  if (flags & flag.vvar) return "vvar";
  if (flags & flag.jit) return "jit";
  if (flags & flag.sysv) return "sysv";
  return flags & flag.file ? "file" : "anonymous";
}

function fateOf(flags: number, strategy: Strategy): Pick<Region, "fork" | "why"> {
  if (flags & flag.dontFork) return { fork: "not inherited", why: "MADV_DONTFORK" };
  if (flags & flag.wipe) return { fork: "wiped", why: "MADV_WIPEONFORK" };
  if (flags & flag.vvar) return { fork: "shared", why: "the kernel's clock" };
  if (flags & flag.shared) return { fork: "shared", why: "MAP_SHARED" };
  if (strategy === "region-copy") return { fork: "copied", why: "private" };
  if (flags & flag.jit && strategy === "selective-cow") {
    return { fork: "copied", why: "anonymous, is or was executable" };
  }
  return { fork: "copy-on-write", why: "private" };
}

/** Bytes of one word of pagemap, and the bit that says that a page is there (admin-guide/mm/pagemap.rst). */
const wordBytes = 8;
const presentByte = 7;
const presentBit = 0x80;
const pageBytes = 4096;
const chunkPages = 1 << 16;

function resident(pagemap: number, { windowBit }: Board, { start, end }: GuestMapping): number {
  const first = Number((BigInt(start) ^ windowBit) / BigInt(pageBytes));
  const last = first + (end - start) / pageBytes;
  const words = Buffer.alloc(Math.min(chunkPages, last - first) * wordBytes);
  let pages = 0;
  for (let page = first; page < last; page += chunkPages) {
    const wanted = Math.min(chunkPages, last - page) * wordBytes;
    const got = readSync(pagemap, words, 0, wanted, page * wordBytes);
    for (let at = presentByte; at < got; at += wordBytes) pages += (words[at] ?? 0) & presentBit ? 1 : 0;
    if (got < wanted) break;
  }
  return pages * pageBytes;
}
