import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Container } from "../../runtime/container.js";
import { RuntimeError } from "../../runtime/errors.js";
import type { Process } from "../../runtime/process.js";
import type { ProcessStdio } from "../../runtime/stdio.js";
import type { Mount } from "../../runtime/jail/rootfs.js";
import { pack } from "../proto/any.js";
import { MetricsSchema as MetricsV1Schema } from "../proto/gen/cgroups1_pb.js";
import { MetricsSchema as MetricsV2Schema } from "../proto/gen/cgroups2_pb.js";
import { Status } from "../proto/gen/process_pb.js";
import { ProcessDetailsSchema } from "../proto/gen/runc_pb.js";
import type { CreateTaskRequest, StateResponseSchema } from "../proto/gen/task_pb.js";
import { timestamp } from "../timestamps.js";
import type { Containers, RequestedStreams } from "./containers.js";
import type { TaskMethods } from "./service.js";

/** What the service asks of the daemon around it. */
export interface TaskHost {
  readonly containers: Containers;
  /** Makes a container and tells its events. */
  createContainer(request: CreateTaskRequest, mounts: readonly Mount[]): Promise<Container>;
  openStreams(streams: RequestedStreams, container: Container): Promise<ProcessStdio>;
  /** Ends the daemon if nothing needs it. */
  shutdown(now: boolean): void;
}

const STATUS: Readonly<Record<ReturnType<Container["stateOf"]>, Status>> = {
  created: Status.CREATED,
  starting: Status.CREATED,
  running: Status.RUNNING,
  pausing: Status.PAUSING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
  deleted: Status.STOPPED,
};

/** The methods of the Task service. */
export function taskMethods(host: TaskHost): TaskMethods {
  const { containers } = host;
  const find = (id: string): Container => containers.get(id).container;

  return {
    async create(request) {
      if (request.checkpoint !== "") {
        throw new RuntimeError("unimplemented", "a task cannot be restored from a checkpoint");
      }
      const { container } = await containers.add(required("id", request.id), async () => ({
        container: await host.createContainer(request, request.rootfs),
        streams: new Map([["", streamsOf(request)]]),
      }));
      return { pid: container.init.pid };
    },

    async start({ id, execId }) {
      return { pid: await find(id).start(execId) };
    },

    async delete({ id, execId }) {
      const { container, streams } = containers.get(id);
      const process = await container.delete(execId);
      streams.delete(execId);
      if (execId === "") {
        containers.remove(id);
      }
      return { pid: process.pid, ...exitOf(process) };
    },

    async exec(request) {
      const { id, execId, spec, terminal } = request;
      const { container, streams } = containers.get(id);
      const requested = streamsOf(request);
      const open = (): Promise<ProcessStdio> => host.openStreams(requested, container);
      container.addExec(required("exec_id", execId), valueOf("spec", spec), terminal, open);
      streams.set(execId, requested);
      return {};
    },

    async resizePty({ id, execId, width, height }) {
      find(id).process(execId).stdio?.resize(width, height);
      return {};
    },

    async closeIO({ id, execId, stdin }) {
      const process = find(id).process(execId);
      if (stdin) {
        process.stdio?.closeStdin();
      }
      return {};
    },

    async state({ id, execId }) {
      const { container, streams } = containers.get(id);
      const process = container.process(execId);
      const answer: MessageInitShape<typeof StateResponseSchema> = {
        id,
        execId,
        bundle: container.bundle,
        pid: process.pid,
        status: STATUS[container.stateOf(process)],
        ...streams.get(execId),
        ...exitOf(process),
      };
      return answer;
    },

    async kill({ id, execId, signal, all }) {
      await find(id).kill(execId, signal, all);
      return {};
    },

    async pids({ id }) {
      const container = find(id);
      const execs = new Map(container.processes.map((process) => [process.pid, process.id]));
      return {
        processes: (await container.pids()).map((pid) => {
          const execId = execs.get(pid);
          return execId === undefined || execId === ""
            ? { pid }
            : { pid, info: pack(ProcessDetailsSchema, create(ProcessDetailsSchema, { execId })) };
        }),
      };
    },

    async wait({ id, execId }) {
      const process = find(id).process(execId);
      await process.stopped;
      return exitOf(process);
    },

    async connect({ id }) {
      // containerd asks for containers it only knows by their bundles.
      return { shimPid: process.pid, taskPid: containers.find(id)?.container.init.pid ?? 0 };
    },

    async shutdown({ now }) {
      host.shutdown(now);
      return {};
    },

    async update({ id, resources }) {
      await find(id).update(valueOf("resources", resources));
      return {};
    },

    async stats({ id }) {
      const statistics = await find(id).statistics();
      const stats =
        statistics.mode === "v1"
          ? pack(MetricsV1Schema, create(MetricsV1Schema, statistics.metrics))
          : pack(MetricsV2Schema, create(MetricsV2Schema, statistics.metrics));
      return { stats };
    },

    async pause({ id }) {
      await find(id).pause();
      return {};
    },

    async resume({ id }) {
      await find(id).resume();
      return {};
    },

    async checkpoint() {
      throw new RuntimeError("unimplemented", "a task cannot be checkpointed");
    },
  };
}

function streamsOf({ stdin, stdout, stderr, terminal }: RequestedStreams): RequestedStreams {
  return { stdin, stdout, stderr, terminal };
}

/** Nothing while it runs: an unset time must not be sent. */
function exitOf({ exit }: Process) {
  return exit === undefined ? {} : { exitStatus: exit.status, exitedAt: timestamp(exit.at) };
}

function required(field: string, value: string): string {
  if (value === "") {
    throw new RuntimeError("invalid-argument", `${field} is empty`);
  }
  return value;
}

function valueOf(field: string, any: Any | undefined): Uint8Array {
  if (any === undefined) {
    throw new RuntimeError("invalid-argument", `${field} is missing`);
  }
  return any.value;
}
