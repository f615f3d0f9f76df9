import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { capture } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import type { NetworkNamespace } from "./network-namespace.js";

const handlers = { runc: "io.containerd.runc.v2", tine: "io.containerd.tine.v2" } as const;

/**
 * The lines of a containerd's configuration that serve pods, with a handler for each runtime.
 *
 * @param version the configuration's
 * @param networkPlugins the line that says where they are, which containerd 2.2 renamed
 */
export function podConfiguration(
  folder: string,
  pauseImage: string,
  version: 2 | 3 = 2,
  networkPlugins = 'bin_dir = "/usr/lib/cni"',
): string {
  const [runtime, images] =
    version === 2
      ? (["io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"] as const)
      : (["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"] as const);
  const plugin = (name: string, ...below: string[]): string =>
    `[${["plugins", JSON.stringify(name), ...below].join(".")}]`;
  const tables: Record<string, string[]> = {
    [plugin("io.containerd.grpc.v1.cri")]: ['stream_server_address = "127.0.0.1"'],
  };
  const add = (table: string, ...lines: string[]): void => {
    tables[table] = [...(tables[table] ?? []), ...lines];
  };
  if (version === 2) add(plugin(images), `sandbox_image = "${pauseImage}"`);
  else add(plugin(images, "pinned_images"), `sandbox = "${pauseImage}"`);
  add(plugin(runtime), "restrict_oom_score_adj = true", "disable_apparmor = true");
  add(plugin(runtime, "cni"), networkPlugins, `conf_dir = "${join(folder, "networks")}"`);
  for (const [name, type] of Object.entries(handlers))
    add(plugin(runtime, "containerd", "runtimes", name), `runtime_type = "${type}"`);
  return Object.entries(tables)
    .flatMap(([table, lines]) => [table, ...lines.map((line) => `  ${line}`)])
    .join("\n");
}

/** The network that such a containerd gives pods. */
export async function writePodNetwork(folder: string): Promise<void> {
  const networks = join(folder, "networks");
  await mkdir(networks, { recursive: true });
  const addresses = {
    type: "host-local",
    ranges: [[{ subnet: "10.88.0.0/16" }]],
    dataDir: join(networks, "leases"),
  };
  const bridge = { type: "bridge", bridge: "tine-pods", isGateway: true, ipMasq: false, ipam: addresses };
  const list = { cniVersion: "0.4.0", name: "tine-pods", plugins: [bridge, { type: "loopback" }] };
  await writeFile(join(networks, "10-pods.conflist"), JSON.stringify(list));
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
    await writePodNetwork(containerd.folder);
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
