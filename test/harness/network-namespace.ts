import { check } from "./command.js";

let counter = 0;

/**
 * A network namespace of our own with nothing but a loopback interface: what a client's daemons do to bridges,
 * packet filters and ports stays in it.
 */
export class NetworkNamespace implements AsyncDisposable {
  private constructor(readonly name: string) {}

  static async create(): Promise<NetworkNamespace> {
    counter += 1;
    const namespace = new NetworkNamespace(`tine-${process.pid}-${counter}`);
    await check(["ip", "netns", "add", namespace.name]);
    await check(["ip", "-n", namespace.name, "link", "set", "lo", "up"]);
    return namespace;
  }

  /**
   * The command line that runs a program in it. (`ip netns exec` would give it another /sys too, without the
   * control groups.)
   */
  command(...command: string[]): string[] {
    return ["nsenter", `--net=/run/netns/${this.name}`, ...command];
  }

  async remove(): Promise<void> {
    await check(["ip", "netns", "delete", this.name]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}
