import { capture, check, type CommandOptions, type CommandResult } from "./command.js";
import type { PrivateContainerd } from "./containerd.js";
import type { TestImage } from "./image.js";

/** The runtime under test, and the one that behaviour is compared with. */
export const tine = "io.containerd.tine.v2";
export const runc = "io.containerd.runc.v2";

export interface RunOptions extends CommandOptions {
  runtime?: string;
  /** The container's id; a fresh one unless given. */
  id?: string;
  /** Further flags of `ctr run`, such as `--env`, `A=B` or `--detach`. */
  flags?: string[];
}

let counter = 0;

/** A container id that this process has not used yet. */
export function freshId(prefix = "t"): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}`;
}

/** `ctr` against one private containerd and namespace. */
export class Ctr {
  constructor(
    readonly containerd: PrivateContainerd,
    readonly namespace = "tine-test",
    readonly runtime = tine,
  ) {}

  /** The command line of `ctr` with these arguments. */
  command(...args: string[]): string[] {
    return [
      this.containerd.ctr,
      "--address",
      this.containerd.address,
      "--namespace",
      this.namespace,
      ...args,
    ];
  }

  /** Runs `ctr ARGS…`; any exit status is a result. */
  capture(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return capture(this.command(...args), options);
  }

  /** Runs `ctr ARGS…`; an exit status other than 0 is an error. */
  check(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return check(this.command(...args), options);
  }

  /** Makes an image known in the namespace and unpacks it; does nothing when it is there. */
  async import(image: TestImage): Promise<void> {
    const known = await this.check(["images", "list", "--quiet", `name==${image.reference}`]);
    if (known.stdout.trim() !== "") return;
    await this.check(["images", "import", image.archive], { limit: 300_000 });
  }

  /** The arguments of `ctr run` for this command. */
  runArguments(image: TestImage | string, command: readonly string[], options: RunOptions = {}): string[] {
    const reference = typeof image === "string" ? image : image.reference;
    const runtime = options.runtime ?? this.runtime;
    const id = options.id ?? freshId();
    return ["run", "--runtime", runtime, ...(options.flags ?? []), reference, id, ...command];
  }

  /** `ctr run --rm`: runs the command in a container of its own to its end. */
  run(
    image: TestImage | string,
    command: readonly string[],
    options: RunOptions = {},
  ): Promise<CommandResult> {
    const flags = ["--rm", ...(options.flags ?? [])];
    return this.capture(this.runArguments(image, command, { ...options, flags }), options);
  }
}
