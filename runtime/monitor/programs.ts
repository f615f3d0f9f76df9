import { MonitorBinary } from "./binary.js";
import { Translators } from "./translators.js";

/** The host's programs that containers get copies of; one set serves all containers. */
export class JailPrograms {
  readonly monitor = new MonitorBinary();
  readonly translators = new Translators();
}
