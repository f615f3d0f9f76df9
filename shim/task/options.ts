import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RuntimeError } from "../../runtime/errors.js";
import { OptionsSchema } from "../proto/gen/runtimeoptions_pb.js";

/** Where a client wants the settings to come from. */
export interface ConfigurationSource {
  readonly path: string | undefined;
  readonly body: string | undefined;
}

/**
 * What the `options` of a Create request name. Options of other runtimes are
 * ignored: clients send runc's to whatever they do not know.
 *
 * @throws RuntimeError `invalid-argument` when they cannot be read
 */
export function configurationSource(options: Any | undefined): ConfigurationSource {
  if (options === undefined || typeName(options) !== OptionsSchema.typeName) {
    return { path: undefined, body: undefined };
  }
  try {
    const { configPath, configBody } = fromBinary(OptionsSchema, options.value);
    return {
      path: configPath === "" ? undefined : configPath,
      body: configBody.length === 0 ? undefined : Buffer.from(configBody).toString("utf8"),
    };
  } catch (error) {
    throw new RuntimeError("invalid-argument", "the runtime options cannot be read", { cause: error });
  }
}

/** containerd writes type URLs with and without a host. */
function typeName({ typeUrl }: Any): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}
