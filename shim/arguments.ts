import { parseArgs } from "node:util";

/** What the launcher tells the daemon, and the `delete` action. */
export interface ShimArguments {
  readonly namespace: string;
  /** Path of containerd's gRPC socket: tells apart containerds with equal namespaces. */
  readonly address: string;
  /** Path of the daemon's socket. */
  readonly socket: string;
  readonly id: string;
  /** The `delete` action's alone. */
  readonly bundle: string;
  readonly debug: boolean;
}

/** @throws the error of util.parseArgs for an unknown option */
export function shimArguments(args: readonly string[]): ShimArguments {
  const text = { type: "string", default: "" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      namespace: text,
      address: text,
      "publish-binary": text,
      socket: text,
      id: text,
      bundle: text,
      debug: { type: "boolean", default: false },
    },
  });
  const { namespace, address, socket, id, bundle, debug } = values;
  return { namespace, address, socket, id, bundle, debug };
}
