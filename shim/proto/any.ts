import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";

/**
 * Type URLs of messages that travel as JSON of the OCI runtime-spec's types.
 * Source: containerd registers them under this prefix with the major version.
 */
export const specTypeUrl = {
  process: "types.containerd.io/opencontainers/runtime-spec/1/Process",
  linuxResources: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
  features: "types.containerd.io/opencontainers/runtime-spec/1/features/Features",
} as const;

/**
 * Packs a message the way containerd does: the type URL is the bare full name,
 * without the `type.googleapis.com/` that protobuf's own helper would put.
 */
export function pack<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): Any {
  return create(AnySchema, { typeUrl: schema.typeName, value: toBinary(schema, message) });
}

/** Packs a value as JSON under one of {@link specTypeUrl}. */
export function packJson(typeUrl: string, value: unknown): Any {
  return create(AnySchema, { typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) });
}

/**
 * Whether an Any holds this message. Only what follows the last slash counts:
 * clients send the bare name, protobuf's helpers put a prefix.
 */
export function holds(any: Any | undefined, schema: DescMessage): any is Any {
  return any !== undefined && typeNameOf(any) === schema.typeName;
}

/**
 * The message an Any holds, or undefined when it holds another type.
 *
 * @throws Error when the bytes are not such a message
 */
export function unpack<Schema extends DescMessage>(
  any: Any | undefined,
  schema: Schema,
): MessageShape<Schema> | undefined {
  return holds(any, schema) ? fromBinary(schema, any.value) : undefined;
}

/** The full name of the message an Any holds: its type URL's last part. */
export function typeNameOf(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
}
