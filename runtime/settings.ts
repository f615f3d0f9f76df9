import type { ConfiguredTranslator } from "../config/translators.js";
import type { Strategy } from "./fork/strategy.js";
import type { MonitorTuning } from "./monitor/tuning.js";

/** How the runtime is to work: where its parts and its state are. */
export interface RuntimeSettings {
  /** The OCI runtime that makes the jail. A name is looked up in PATH. */
  readonly runcBinary: string;
  /** The static monitor that becomes each container's process. */
  readonly monitorBinary: string;
  /** How a guest's fork gives memory to the child, unless a container says it for itself. */
  readonly forkStrategy: Strategy;
  /** What tine.toml says about calls and memory. */
  readonly tuning: MonitorTuning;
  /** The programs that tine.toml names for other architectures. */
  readonly translators: readonly ConfiguredTranslator[];
  /** Folder for state that is gone after a reboot: runc's, and sockets. Mode 0700. */
  readonly stateDirectory: string;
  /** Told what nobody can be told by an answer, one line at a time. */
  readonly log: (line: string) => void;
}
