import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { capture } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import type { NetworkNamespace } from "./network-namespace.js";

/** The lines of a containerd's configuration that serve pods, with a handler for each runtime. */
export function podConfiguration(folder: string, pauseImage: string): string {
  const plugin = 'plugins."io.containerd.grpc.v1.cri"';
  const handler = (name: string, runtime: string): string[] => [
    `[${plugin}.containerd.runtimes.${name}]`,
    `  runtime_type = "${runtime}"`,
    ...(name === "tine" ? ["  privileged_without_host_devices = false"] : []),
  ];
  return [
    `[${plugin}]`,
    `  sandbox_image = "${pauseImage}"`,
    "  restrict_oom_score_adj = true",
    "  disable_apparmor = true",
    '  stream_server_address = "127.0.0.1"',
    `[${plugin}.cni]`,
    '  bin_dir = "/usr/lib/cni"',
    `  conf_dir = "${join(folder, "networks")}"`,
    ...handler("runc", "io.containerd.runc.v2"),
    ...handler("tine", "io.containerd.tine.v2"),
    "",
  ].join("\n");
}

/** crictl over a private containerd that serves pods. */
export class Crictl implements AsyncDisposable {
  private constructor(
    readonly containerd: PrivateContainerd,
    private readonly network: NetworkNamespace,
    private readonly program: string,
  ) {}

  static async prepare(
    containerd: PrivateContainerd,
    network: NetworkNamespace,
    program: string,
  ): Promise<Crictl> {
    const folder = join(containerd.folder, "networks");
    await mkdir(folder, { recursive: true });
    const addresses = {
      type: "host-local",
      ranges: [[{ subnet: "10.88.0.0/16" }]],
      dataDir: join(folder, "leases"),
    };
    const bridge = { type: "bridge", bridge: "tine-pods", isGateway: true, ipMasq: false, ipam: addresses };
    const list = { cniVersion: "0.4.0", name: "tine-pods", plugins: [bridge, { type: "loopback" }] };
    await writeFile(join(folder, "10-pods.conflist"), JSON.stringify(list));
    const endpoint = `unix://${containerd.address}`;
    const settings = [`runtime-endpoint: ${endpoint}`, `image-endpoint: ${endpoint}`, "timeout: 20", ""];
    await writeFile(join(containerd.folder, "crictl.yaml"), settings.join("\n"));
    return new Crictl(containerd, network, program);
  }

  /** The command line of `crictl` with these arguments, in the network of its own. */
  command(...args: string[]): string[] {
    return this.network.command(
      this.program,
      "--config",
      join(this.containerd.folder, "crictl.yaml"),
      ...args,
    );
  }

  /** Removes all pods. */
  async stop(): Promise<void> {
    await capture(this.command("rmp", "--all", "--force"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
