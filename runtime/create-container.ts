import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Container } from "./container.js";
import type { ContainerListener } from "./events.js";
import { attempt, checkJailedProgram, enterJail, JailedContainer } from "./jail/jailed-container.js";
import { PreparedJail } from "./jail/prepared-jail.js";
import { mountRoot, unmountRoot, type Mount } from "./jail/rootfs.js";
import { removeJailRecord, writeJailRecord } from "./jail/record.js";
import { Runc } from "./jail/runc.js";
import { MonitorLog } from "./monitor/log.js";
import type { JailPrograms } from "./monitor/programs.js";
import { Process } from "./process.js";
import { ContainerResources } from "./resources/container-resources.js";
import type { RuntimeSettings } from "./settings.js";
import type { ProcessStdio } from "./stdio.js";
import { Undo } from "./undo.js";

/** What a container is made of. */
export interface ContainerRequest {
  readonly id: string;
  /** Folder with config.json and rootfs. */
  readonly bundle: string;
  /** What makes up the root; empty when config.json names one that is there. */
  readonly rootfs: readonly Mount[];
  /** Opens the first process's standard streams. */
  readonly openStdio: () => Promise<ProcessStdio>;
}

/** Folder of runc's state for the containers of one runtime. */
export function runcRoot(settings: RuntimeSettings): string {
  return join(settings.stateDirectory, "runc");
}

/**
 * Makes a container. Afterwards its first process waits to be started, its
 * namespaces are there, and its program was found.
 *
 * @param programs - shared by all containers
 * @param tell - is told everything that happens to the container
 * @throws RuntimeError with the words of who refused; then nothing is left behind
 */
export async function createContainer(
  request: ContainerRequest,
  settings: RuntimeSettings,
  programs: JailPrograms,
  tell: ContainerListener,
): Promise<Container> {
  const { id, bundle } = request;
  const root = join(bundle, "rootfs");
  await using undo = new Undo((line) => settings.log(`${id}: ${line}`));
  writeJailRecord(bundle, { runcBinary: settings.runcBinary, runcRoot: runcRoot(settings) });
  undo.addLast(() => removeJailRecord(bundle));
  const log = new MonitorLog(join(bundle, "monitor.log"), (line) => settings.log(`${id}: ${line}`));
  undo.add(() => log.close());

  const mounting = mountRoot(root, request.rootfs).then(() => {
    if (request.rootfs.length > 0) {
      undo.add(() => unmountRoot(root));
    }
  });
  const opening = request.openStdio().then((opened) => {
    undo.add(() => opened.close());
    return opened;
  });
  const preparing = prepare(bundle, programs, log, settings).then((prepared) => {
    undo.add(() => prepared.close());
    return prepared;
  });
  // All of them, also when one fails: what the others made is undone then.
  await Promise.allSettled([mounting, opening, preparing]);
  const [stdio, jail] = await Promise.all([opening, preparing, mounting]);

  const runc = new Runc(settings.runcBinary, runcRoot(settings), jail.systemdCgroup);
  const entry = { jail, bundle, stateDirectory: settings.stateDirectory };
  const init = new Process("");
  init.stdio = stdio;
  undo.add(() => runc.delete(id, true));
  await attempt("create", () =>
    enterJail(entry, init, stdio, "init", jail.gate, (jailed) =>
      jail.gate === undefined ? runc.create(id, bundle, jailed) : runc.run(id, bundle, jailed),
    ),
  );
  const { program } = jail;
  const resources = ContainerResources.of(init.pid);
  if (program !== undefined) {
    await attempt("create", () => checkJailedProgram("create", init.pid, program));
  }
  stdio.begin();
  undo.keep();
  return new Container(id, bundle, init, new JailedContainer(id, entry, runc, resources, log), tell);
}

/** In a turn of its own: the mounts go on meanwhile. */
async function prepare(...args: Parameters<typeof PreparedJail.prepare>): Promise<PreparedJail> {
  const [, , , settings] = args;
  await Promise.resolve();
  mkdirSync(runcRoot(settings), { recursive: true, mode: 0o700 });
  return PreparedJail.prepare(...args);
}
