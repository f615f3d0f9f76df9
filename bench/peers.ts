import { access } from "node:fs/promises";
import { basename } from "node:path";
import { check, type CommandResult } from "../test/harness/command.js";
import { runc, tine, type Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";

/** Something that runs programs, to be compared with the others. */
export interface Peer {
  readonly name: string;
  /** containerd's name of it; undefined for the machine itself. */
  readonly runtime?: string;
  /** Runs a static program of this machine to its end. */
  run(program: string, args: readonly string[]): Promise<CommandResult>;
}

/** Milliseconds a measuring program may take. */
const limit = 600_000;

/** The machine itself, runc, Tine, and gVisor where it is installed. */
export async function findPeers(ctr: Ctr, image: TestImage): Promise<Peer[]> {
  const peers: Peer[] = [
    { name: "native", run: (program, args) => check([program, ...args], { limit }) },
    containerPeer(ctr, image, "runc", runc),
    containerPeer(ctr, image, "Tine", tine),
  ];
  if (await onPath("containerd-shim-runsc-v1")) {
    peers.push(containerPeer(ctr, image, "runsc", "io.containerd.runsc.v1"));
  }
  return peers;
}

function containerPeer(ctr: Ctr, image: TestImage, name: string, runtime: string): Peer {
  return {
    name,
    runtime,
    run(program, args) {
      const inside = `/${basename(program)}`;
      const flags = ["--rm", "--mount", `type=bind,src=${program},dst=${inside},options=bind:ro`];
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
