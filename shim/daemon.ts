/**
 * The serving process: one for many containers. The launcher starts it with
 * its listening socket as descriptor 3 and a readiness pipe as 4; containerd
 * then calls the Task service on the socket until no container is left.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { closeSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { StatusCode, TtrpcError, TtrpcServer } from "./ttrpc/index.js";
import { loadSettings } from "../config/settings.js";
import { reapOrphans } from "../native/addon/children.js";
import type { Container } from "../runtime/container.js";
import { createContainer } from "../runtime/create-container.js";
import { messageOf } from "../runtime/errors.js";
import type { Mount } from "../runtime/jail/rootfs.js";
import { JailPrograms } from "../runtime/monitor/programs.js";
import type { ProcessStdio } from "../runtime/stdio.js";
import { shimArguments } from "./arguments.js";
import { eventMessage } from "./events/messages.js";
import { Publisher } from "./events/publisher.js";
import { Lifetime } from "./lifetime.js";
import type { MetricsServer } from "./metrics/server.js";
import { ShimLog } from "./log.js";
import type { CreateTaskRequest } from "./proto/gen/task_pb.js";
import { runtimeSettings } from "./runtime-settings.js";
import { openStreams } from "./stdio/open.js";
import { Containers, type RequestedStreams } from "./task/containers.js";
import { taskMethods } from "./task/methods.js";
import { configurationSource } from "./task/options.js";
import { serveTask } from "./task/service.js";

const LISTENER = 3;
const READINESS = 4;

const { namespace, socket, debug } = shimArguments(process.argv.slice(2));
const log = new ShimLog(debug ? "debug" : loadSettings().shim.log_level, process.stderr.fd);

// Whatever goes wrong in one call or one container, all others go on.
process.on("unhandledRejection", (error) => log.write("error", `unhandled: ${detailOf(error)}`));
process.on("uncaughtException", (error) => log.write("error", `uncaught: ${detailOf(error)}`));
// A container's end is containerd's to decide, not that of whoever stops services.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(signal, () => lifetime.endIfIdle());
}
reapOrphans();

const publisher = new Publisher({
  address: process.env["TTRPC_ADDRESS"] ?? "",
  namespace,
  report: (line) => log.write("error", line),
});
const containers = new Containers(() => lifetime.reconsider());
const server = new TtrpcServer({ report: (error) => log.write("warning", messageOf(error)) });
const lifetime = new Lifetime(
  () => containers.size === 0,
  () => void leave(),
);
const programs = new JailPrograms();
/** Made by the containers' settings; ours alone. */
const stateDirectories = new Set<string>();

const methods = taskMethods({
  containers,
  createContainer: makeContainer,
  openStreams: openContainerStreams,
  // Afterwards: the answer has to be on its way first.
  shutdown: (now) => void setImmediate(() => (now ? lifetime.endIfIdle() : lifetime.reconsider())),
});
serveTask(server, methods, (line) => log.write("debug", line));
server.register("tine.shim.v1.Launcher", {
  /** The launcher is about to send a container here. */
  Hold: () => {
    if (!lifetime.hold()) {
      throw new TtrpcError(StatusCode.Unavailable, "the shim is leaving");
    }
    return new Uint8Array(0);
  },
  /** The `delete` action has done away with a container, which containerd will not mention again. */
  Forget: async (payload) => {
    const id = fromBinary(StringValueSchema, payload).value;
    const entry = containers.find(id);
    if (entry !== undefined) {
      await entry.container.abandon();
      containers.remove(id);
      log.close(id);
    }
    return new Uint8Array(0);
  },
});
await server.listen({ fd: LISTENER });
lifetime.reconsider();
writeSync(READINESS, "\n");
closeSync(READINESS);
let metrics: MetricsServer | undefined;
const metricsAddress = loadSettings().shim.metrics;
if (metricsAddress !== "") await serveMetrics(metricsAddress);

async function makeContainer(request: CreateTaskRequest, rootfs: readonly Mount[]): Promise<Container> {
  const { id, bundle } = request;
  if (lifetime.isOver) {
    throw new TtrpcError(StatusCode.Unavailable, "the shim is leaving");
  }
  log.open(id, bundle);
  try {
    const settings = runtimeSettings(loadSettings(configurationSource(request.options)), {
      socket,
      log: (line) => log.write("info", line, id),
    });
    stateDirectories.add(settings.stateDirectory);
    const openStdio = (): Promise<ProcessStdio> => openStreamsOf(request, id, bundle);
    return await createContainer({ id, bundle, rootfs, openStdio }, settings, programs, (event) => {
      publisher.publish(
        eventMessage(event, request),
        // Who has deleted a process knows that it has ended.
        event.type === "exited" ? { known: () => event.process.state === "deleted" } : {},
      );
      if (event.type === "deleted") {
        log.close(id);
      }
    });
  } catch (error) {
    log.close(id);
    throw error;
  }
}

function openContainerStreams(streams: RequestedStreams, { id, bundle }: Container): Promise<ProcessStdio> {
  return openStreamsOf(streams, id, bundle);
}

function openStreamsOf(streams: RequestedStreams, id: string, bundle: string): Promise<ProcessStdio> {
  return openStreams(streams, {
    id,
    namespace,
    bundle,
    log: (line) => log.write("warning", line, id),
  });
}

/** Loaded only here: most have no use for it. */
async function serveMetrics(address: string): Promise<void> {
  const { collectMetrics } = await import("./metrics/collect.js");
  const { MetricsServer: Metrics } = await import("./metrics/server.js");
  const { version } = await import("../runtime/cli/version.js");
  const collect = (): ReturnType<typeof collectMetrics> =>
    collectMetrics(loadSettings().runtime.root, { version, namespace, containers: containers.size });
  metrics = new Metrics(address, collect, (line) => log.write("warning", line));
  void metrics.serve();
}

/**
 * In this order: no folder goes that a successor uses already; who has found
 * the socket's name is served still, and who comes later finds no name.
 */
async function leave(): Promise<void> {
  for (const directory of stateDirectories) {
    attempt(() => rmSync(directory, { recursive: true, force: true }));
  }
  attempt(() => unlinkSync(socket));
  metrics?.close();
  await publisher.flushed();
  await server.close();
  process.exit(0);
}

function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    log.write("warning", messageOf(error));
  }
}

function detailOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
