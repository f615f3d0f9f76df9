import { boolean, list, object, optional, record, refined, text, type TypeOf } from "../schema.js";
import { absolutePath, int, nonEmpty } from "./common.js";
import { idMapping, linux } from "./linux.js";
import { process } from "./process.js";

/** config.md, "Mounts". */
export const mount = object({
  destination: nonEmpty,
  type: optional(text()),
  source: optional(text()),
  options: optional(list(text())),
  uidMappings: optional(list(idMapping)),
  gidMappings: optional(list(idMapping)),
});

/** config.md, "POSIX-platform Hooks". */
export const hook = object({
  path: absolutePath,
  args: optional(list(text())),
  env: optional(list(text())),
  /** Seconds. */
  timeout: optional(
    refined(int, function* (seconds) {
      if (seconds <= 0) yield ["", `${seconds} is not more than 0`];
    }),
  ),
});

export const hooks = object({
  prestart: optional(list(hook)),
  createRuntime: optional(list(hook)),
  createContainer: optional(list(hook)),
  startContainer: optional(list(hook)),
  poststart: optional(list(hook)),
  poststop: optional(list(hook)),
});

/** config.md, with the Linux part: a bundle's config.json. */
export const config = object({
  ociVersion: text((value) => /^\d+\.\d+\.\d+(?:[-+].*)?$/.test(value), "a semantic version"),
  root: object({ path: nonEmpty, readonly: optional(boolean()) }),
  mounts: optional(list(mount)),
  process: optional(process),
  hostname: optional(text()),
  domainname: optional(text()),
  hooks: optional(hooks),
  annotations: optional(record(text())),
  linux: optional(linux),
});

export type Mount = TypeOf<typeof mount>;
export type Hook = TypeOf<typeof hook>;
export type Hooks = TypeOf<typeof hooks>;
export type RuntimeConfig = TypeOf<typeof config>;
