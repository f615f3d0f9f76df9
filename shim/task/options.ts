import type { Any } from "@bufbuild/protobuf/wkt";
import { messageOf, RuntimeError } from "../../runtime/errors.js";
import { unpack } from "../proto/any.js";
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
  try {
    const { configPath = "", configBody = new Uint8Array(0) } = unpack(options, OptionsSchema) ?? {};
    return {
      path: configPath === "" ? undefined : configPath,
      body: configBody.length === 0 ? undefined : Buffer.from(configBody).toString("utf8"),
    };
  } catch (error) {
    throw new RuntimeError("invalid-argument", `runtime options: ${messageOf(error)}`, { cause: error });
  }
}
