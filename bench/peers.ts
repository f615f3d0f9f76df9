import { access, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { check, type CommandResult } from "../test/harness/command.js";
import { runc, tine, type Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";
import { repository } from "../test/harness/paths.js";

/** How `ctr run` starts a container of one peer. */
export interface Runtime {
  readonly name: string;
  /** containerd's name of it. */
  readonly runtime: string;
  /** What `ctr run` is told besides. */
  readonly flags: readonly string[];
}

/** Something that runs programs, to be compared with the others. */
export interface Peer {
  readonly name: string;
  /** Undefined for the machine itself. */
  readonly container?: Runtime;
  /** Runs a static program of this machine to its end. */
  run(program: string, args: readonly string[]): Promise<CommandResult>;
}

/** Milliseconds a measuring program may take. */
const limit = 120_000;

/** The machine itself, runc, Tine, and gVisor where it is installed. */
export async function findPeers(ctr: Ctr, image: TestImage): Promise<Peer[]> {
  const peers: Peer[] = [
    { name: "native", run: (program, args) => check([program, ...args], { limit }) },
    containerPeer(ctr, image, { name: "runc", runtime: runc, flags: [] }),
    containerPeer(ctr, image, { name: "Tine", runtime: tine, flags: [] }),
  ];
  const gvisor = await findGvisor();
  if (gvisor !== undefined) peers.push(containerPeer(ctr, image, gvisor));
  return peers;
}

/** Those that are containerd's. */
export function runtimesOf(peers: readonly Peer[]): Runtime[] {
  return peers.flatMap(({ container }) => (container === undefined ? [] : [container]));
}

/** By its own shim; else, as Debian has it, as the OCI runtime under runc's shim, without a network. */
async function findGvisor(): Promise<Runtime | undefined> {
  if (await onPath("containerd-shim-runsc-v1")) {
    return { name: "runsc", runtime: "io.containerd.runsc.v1", flags: [] };
  }
  if (!(await onPath("runsc"))) return undefined;
  const folder = join(repository, "build/bench");
  const script = join(folder, "runsc");
  await mkdir(folder, { recursive: true });
  const arguments_ = "--network=none --platform=ptrace";
  await writeFile(script, `#!/bin/sh\nexec runsc ${arguments_} "$@"\n`, { mode: 0o755 });
  return { name: "runsc (ptrace)", runtime: runc, flags: ["--runc-binary", script] };
}

function containerPeer(ctr: Ctr, image: TestImage, container: Runtime): Peer {
  const { name, runtime } = container;
  return {
    name,
    container,
    run(program, args) {
      const inside = `/${basename(program)}`;
      const mount = `type=bind,src=${program},dst=${inside},options=bind:ro`;
      const flags = ["--rm", ...container.flags, "--mount", mount];
      return check(ctr.command(...ctr.runArguments(image, [inside, ...args], { runtime, flags })), { limit });
    },
  };
}

async function onPath(program: string): Promise<boolean> {
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const there = await access(`${folder}/${program}`).then(
      () => true,
      () => false,
    );
    if (there) return true;
  }
  return false;
}
