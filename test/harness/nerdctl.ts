import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { capture } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import type { NetworkNamespace } from "./network-namespace.js";

/** nerdctl over a private containerd, with its data and networks in folders of its own. */
export class Nerdctl implements AsyncDisposable {
  private constructor(
    readonly containerd: PrivateContainerd,
    private readonly network: NetworkNamespace,
    private readonly program: string,
  ) {}

  static async prepare(
    containerd: PrivateContainerd,
    network: NetworkNamespace,
    program: string,
  ): Promise<Nerdctl> {
    const nerdctl = new Nerdctl(containerd, network, program);
    await mkdir(join(nerdctl.folder, "networks"), { recursive: true });
    return nerdctl;
  }

  private get folder(): string {
    return join(this.containerd.folder, "nerdctl");
  }

  /** The command line of `nerdctl` with these arguments, in the network of its own. */
  command(...args: string[]): string[] {
    const folders = [
      "--data-root",
      join(this.folder, "data"),
      "--cni-netconfpath",
      join(this.folder, "networks"),
    ];
    const flags = ["--cni-path", "/usr/lib/cni", "--cgroup-manager", "cgroupfs", "--namespace", "nerdctl"];
    return this.network.command(
      this.program,
      "--address",
      this.containerd.address,
      ...folders,
      ...flags,
      ...args,
    );
  }

  async stop(): Promise<void> {
    const ids = (await capture(this.command("ps", "--all", "--quiet"))).stdout.split("\n").filter(Boolean);
    if (ids.length > 0) await capture(this.command("rm", "--force", ...ids));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
