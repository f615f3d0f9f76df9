import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { capture } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import type { NetworkNamespace } from "./network-namespace.js";
import { withSubordinates } from "./subordinates.js";

/** nerdctl over a private containerd, with its data and networks in folders of its own. */
export class Nerdctl implements AsyncDisposable {
  private constructor(
    readonly containerd: PrivateContainerd,
    private readonly network: NetworkNamespace,
    private readonly program: string,
    private readonly subordinates: string,
  ) {}

  /** @param subordinates what it finds in /etc/subuid and /etc/subgid; the machine's own unless given */
  static async prepare(
    containerd: PrivateContainerd,
    network: NetworkNamespace,
    program: string,
    subordinates = "",
  ): Promise<Nerdctl> {
    const nerdctl = new Nerdctl(containerd, network, program, subordinates);
    await mkdir(join(nerdctl.folder, "networks"), { recursive: true });
    if (subordinates !== "") {
      await writeFile(nerdctl.subordinatesFile, subordinates);
      // Other users than root go through it.
      await chmod(containerd.folder, 0o711);
    }
    return nerdctl;
  }

  private get subordinatesFile(): string {
    return join(this.folder, "subordinates");
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
      ...(this.subordinates === "" ? [] : withSubordinates(this.subordinatesFile)),
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
