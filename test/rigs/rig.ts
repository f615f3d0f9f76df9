import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { capture, check, CommandError } from "../harness/command.js";
import { repository } from "../harness/paths.js";
import { initramfs, type InitramfsEntry } from "./initramfs.js";
import { rigKernel, type DebianArchitecture } from "./kernel.js";

/** What is needed to emulate one kind of machine whose Linux offers KVM. */
export interface RigMachine {
  architecture: DebianArchitecture;
  /** The QEMU program and the options that make the processor and the board. */
  emulator: readonly string[];
  /** The kernel's name of the serial line. */
  console: string;
  /** The modules that bring KVM, each after those it needs. */
  modules: readonly string[];
  /** Compiler of static C programs for it. */
  compiler: string;
}

/**
 * AMD-V under QEMU's own emulator: what a bare-metal host offers, so the supervisor stub is used. Four-level paging, as
 * on the hosts that the monitor knows.
 */
export const svmMachine: RigMachine = {
  architecture: "amd64",
  emulator: ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max,+svm,-la57"],
  console: "ttyS0",
  modules: ["irqbypass", "kvm", "kvm-amd"],
  compiler: "gcc",
};

/** arm64 with EL2, so that Debian's kernel, which has KVM built in, offers it. */
export const armMachine: RigMachine = {
  architecture: "arm64",
  emulator: [
    "qemu-system-aarch64",
    "-M",
    "virt,virtualization=on,gic-version=3",
    "-accel",
    "tcg",
    "-cpu",
    "max,pauth-impdef=on",
  ],
  console: "ttyAMA0",
  modules: [],
  compiler: "aarch64-linux-gnu-gcc",
};

/** A rig did not run its commands to their end. */
export class RigError extends Error {
  override readonly name = "RigError";

  constructor(
    readonly code: "time-out" | "incomplete",
    problem: string,
    readonly console: string,
  ) {
    super(`${problem}; the console said:\n${console}`);
  }
}

/** What one command on the rig did. */
export interface RigResult {
  /** Exit status; 128 + n after signal n. */
  status: number;
  /** Standard output and error, as they came. */
  output: string;
}

/**
 * Boots the machine with the given programs in /bin, runs the commands (words divided by single spaces, no quoting)
 * one after the other, and switches it off.
 *
 * @param files paths here of the executables to put into the rig's /bin, under their own names.
 * @param limit milliseconds for the whole of it.
 * @throws {RigError} with what the console showed.
 */
export async function runOnRig(
  machine: RigMachine,
  files: readonly string[],
  commands: readonly string[],
  limit: number,
): Promise<RigResult[]> {
  const kernel = await rigKernel(machine.architecture, machine.modules);
  const scratch = await mkdtemp(join(tmpdir(), "tine-rig-"));
  try {
    const init = join(scratch, "init");
    await buildStatic(machine, join(repository, "test/rigs/init.c"), init);
    const image = join(scratch, "initramfs");
    await writeFile(image, initramfs(await entries(init, kernel.modules, files, commands)));
    // A file takes whatever comes at once; a full pipe would make the emulated line drop characters.
    const log = join(scratch, "console");
    const ran = await capture(
      [
        ...machine.emulator,
        ...[
          "-m",
          "1024",
          "-smp",
          "2",
          "-nodefaults",
          "-display",
          "none",
          "-serial",
          `file:${log}`,
          "-no-reboot",
        ],
        ...["-kernel", kernel.image, "-initrd", image],
        ...["-append", `console=${machine.console} quiet loglevel=3 panic=-1`],
      ],
      { limit },
    ).catch((error: unknown) => error);
    const text = await readFile(log, "utf8").catch(() => "");
    if (ran instanceof CommandError) throw new RigError("time-out", `no end after ${limit} ms`, text);
    if (ran instanceof Error) throw ran;
    return results(text, commands.length);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Compiles a C program for the machine unless the output is newer than the source.
 *
 * @throws {CommandError} with the compiler's messages.
 */
export async function buildStatic(machine: RigMachine, source: string, output: string): Promise<void> {
  const built = await stat(output).catch(() => undefined);
  if (built !== undefined && built.mtimeMs > (await stat(source)).mtimeMs) return;
  // Warnings are the business of the tests that build for this machine.
  const flags = ["-static", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-w", "-pthread"];
  await check([machine.compiler, ...flags, `-I${join(repository, "test/guest/lib")}`, "-o", output, source]);
}

async function entries(
  init: string,
  modules: readonly string[],
  files: readonly string[],
  commands: readonly string[],
): Promise<InitramfsEntry[]> {
  const list: InitramfsEntry[] = ["bin", "dev", "proc", "rig", "tmp"].map((path) => ({
    kind: "folder",
    path,
  }));
  // The kernel opens it for the first process before that can mount anything.
  list.push({ kind: "character-device", path: "dev/console", major: 5, minor: 1 });
  const add = async (path: string, mode: number, from: string): Promise<void> => {
    list.push({ kind: "file", path, mode, content: await readFile(from) });
  };
  await add("init", 0o755, init);
  for (const file of files) await add(`bin/${basename(file)}`, 0o755, file);
  const loaded: string[] = [];
  for (const module of modules) {
    const path = `rig/${basename(module)}`;
    await add(path, 0o644, module);
    loaded.push(`/${path}\n`);
  }
  const text = (path: string, content: string): void => {
    list.push({ kind: "file", path, mode: 0o644, content: Buffer.from(content) });
  };
  text("rig/modules", loaded.join(""));
  text("rig/commands", commands.map((command) => `${command}\n`).join(""));
  return list;
}

/** Takes the console's text apart: each command's output ends with a line of the record separator and its status. */
function results(text: string, expected: number): RigResult[] {
  const found: RigResult[] = [];
  let rest = text;
  for (;;) {
    const end = /\u001e(\d+)\r?\n/.exec(rest);
    if (end === null) break;
    found.push({ status: Number(end[1]), output: rest.slice(0, end.index).replaceAll("\r\n", "\n") });
    rest = rest.slice(end.index + end[0].length);
  }
  if (found.length !== expected)
    throw new RigError("incomplete", `the rig ran ${found.length} of ${expected} commands`, text);
  return found;
}
