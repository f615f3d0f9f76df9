import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { RuntimeError, messageOf } from "../errors.js";

/** native/vmm/fork/board.h: how a monitor shows its mappings to whoever may read its memory. */
const magic = Buffer.from("74696e652d626f6172640a1a0099e701", "hex");
const version = 3;
const boardBytes = 600;

/** Where in the board the classes begin that it sorts forks into by their time: four for each doubling. */
const classesAt = 88;
const forkClasses = 128;
const firstDoubling = 12;

/** native/vmm/syscall/counters.h. */
const callLimit = 512;
const countBytes = 32;

/** A node of libstdc++'s map: colour, parent, left, right, key, then the mapping. */
const nodeBytes = 64;
const mostNodes = 200_000;

/** A mapping of a guest, with guest addresses. */
export interface GuestMapping {
  readonly start: number;
  readonly end: number;
  /** PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4. */
  readonly protection: number;
  /** kVma… of native/vmm/memory/address_space.h. */
  readonly flags: number;
}

/** How often a process made one call since it began its program, and how it was served. */
export interface CallCount {
  /** The guest architecture's number. */
  readonly number: number;
  /** The guest had left the machine. */
  readonly exits: number;
  /** It had not: another thread served it (docs/exitless.md). */
  readonly posted: number;
  /** From its arrival to its answer, waiting included; undefined where the processor does not say how fast it counts. */
  readonly seconds: number | undefined;
}

/** Forks that took about as long as each other. */
export interface ForkTime {
  /** What one took at most; at least four fifths of it. */
  readonly seconds: number;
  readonly count: number;
}

/** What a process has done. */
export interface Figures {
  readonly asked: number;
  readonly translated: boolean;
  readonly forks: number;
  /** From each fork's call to its child's first word; undefined as with {@link CallCount.seconds}. */
  readonly forkSeconds: number | undefined;
  /** How many forks took how long, the shortest first; empty as `forkSeconds` is undefined. */
  readonly forkTimes: readonly ForkTime[];
  readonly copied: number;
  /** Programs that the process has begun since it was forked; of the first, those after its first. */
  readonly execs: number;
  /** Those that it made. */
  readonly calls: readonly CallCount[];
}

export interface Board {
  /** Index into the strategies. */
  readonly asked: number;
  readonly translated: boolean;
  /** Forks that this process has made. */
  readonly forks: number;
  /** Bytes that became its own when it was forked itself. */
  readonly copied: number;
  /** What a host address differs by from a guest's. */
  readonly windowBit: bigint;
  readonly mappings: readonly GuestMapping[];
}

/**
 * Reads a monitor's board while it runs; mappings that change meanwhile may be missed.
 *
 * @param pid - a process of the host
 * @throws RuntimeError `not-found` when it is no guest's, or cannot be read
 */
export function readBoard(pid: number): Board {
  return withBoard(pid, (memory, board) => ({
    asked: board.readUInt32LE(20),
    translated: board.readUInt32LE(24) === 1,
    forks: board.readUInt32LE(28),
    windowBit: board.readBigUInt64LE(32),
    copied: Number(board.readBigUInt64LE(40)),
    mappings: readMappings(memory, Number(board.readBigUInt64LE(48))),
  }));
}

/**
 * Reads what a monitor counts while it runs.
 *
 * @param pid - a process of the host
 * @throws RuntimeError `not-found` when it is no guest's, or cannot be read
 */
export function readFigures(pid: number): Figures {
  return withBoard(pid, (memory, board) => {
    const khz = Number(board.readBigUInt64LE(72));
    const seconds = (ticks: bigint): number | undefined =>
      khz === 0 ? undefined : Number(ticks) / khz / 1000;
    return {
      asked: board.readUInt32LE(20),
      translated: board.readUInt32LE(24) === 1,
      forks: board.readUInt32LE(28),
      forkSeconds: seconds(board.readBigUInt64LE(56)),
      forkTimes: readForkTimes(board, seconds),
      copied: Number(board.readBigUInt64LE(40)),
      execs: board.readUInt32LE(80),
      calls: readCalls(memory, Number(board.readBigUInt64LE(64)), seconds),
    };
  });
}

function readForkTimes(board: Buffer, seconds: (ticks: bigint) => number | undefined): ForkTime[] {
  const times: ForkTime[] = [];
  for (let index = 0; index < forkClasses; index += 1) {
    const count = board.readUInt32LE(classesAt + 4 * index);
    const limit = seconds(BigInt((index % 4) + 5) << BigInt(firstDoubling - 2 + Math.floor(index / 4)));
    if (count > 0 && limit !== undefined) times.push({ seconds: limit, count });
  }
  return times;
}

function readCalls(
  memory: number,
  address: number,
  seconds: (ticks: bigint) => number | undefined,
): CallCount[] {
  const counts = readAt(memory, address, callLimit * countBytes);
  const calls: CallCount[] = [];
  for (let number = 0; (number + 1) * countBytes <= counts.length; number += 1) {
    const at = number * countBytes;
    const exits = Number(counts.readBigUInt64LE(at));
    const posted = Number(counts.readBigUInt64LE(at + 8));
    if (exits + posted > 0)
      calls.push({ number, exits, posted, seconds: seconds(counts.readBigUInt64LE(at + 16)) });
  }
  return calls;
}

/** Finds the board and hands on a copy of it, and the process's memory. */
function withBoard<T>(pid: number, read: (memory: number, board: Buffer) => T): T {
  let memory: number;
  try {
    memory = openSync(`/proc/${pid}/mem`, "r");
  } catch (error) {
    throw new RuntimeError("not-found", `process ${pid} cannot be looked at: ${messageOf(error)}`);
  }
  try {
    const at = findBoard(pid, memory);
    if (at === undefined) throw new RuntimeError("not-found", `process ${pid} is no guest of Tine`);
    const board = readAt(memory, at, boardBytes);
    const found = board.readUInt32LE(16);
    if (found !== version) {
      throw new RuntimeError("failed", `process ${pid} runs another version of Tine (board ${found})`);
    }
    return read(memory, board);
  } finally {
    closeSync(memory);
  }
}

/** In the data that the monitor's own executable maps. */
function findBoard(pid: number, memory: number): number | undefined {
  const { ino } = statSync(`/proc/${pid}/exe`);
  for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
    const parts = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ (\d+)/.exec(line);
    if (parts?.[1] === undefined || parts[2] === undefined || Number(parts[3]) !== ino) continue;
    const start = Number.parseInt(parts[1], 16);
    const offset = readAt(memory, start, Number.parseInt(parts[2], 16) - start).indexOf(magic);
    if (offset >= 0) return start + offset;
  }
  return undefined;
}

function readMappings(memory: number, header: number): GuestMapping[] {
  const mappings: GuestMapping[] = [];
  const links = readAt(memory, header, 32);
  const waiting = [Number(links.readBigUInt64LE(8))];
  for (let seen = 0; seen < mostNodes; seen++) {
    const address = waiting.pop();
    if (address === undefined) break;
    if (address === 0) continue;
    const node = readAt(memory, address, nodeBytes);
    mappings.push({
      start: Number(node.readBigUInt64LE(40)),
      end: Number(node.readBigUInt64LE(48)),
      protection: node.readUInt32LE(56),
      flags: node.readUInt32LE(60),
    });
    waiting.push(Number(node.readBigUInt64LE(16)), Number(node.readBigUInt64LE(24)));
  }
  return mappings.sort((a, b) => a.start - b.start);
}

function readAt(memory: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  const got = readSync(memory, buffer, 0, bytes, position);
  return got === bytes ? buffer : buffer.subarray(0, Math.max(got, 0));
}
