import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { ContainerEvent } from "../../runtime/events.js";
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from "../proto/gen/events_pb.js";
import type { CreateTaskRequest } from "../proto/gen/task_pb.js";
import { timestamp } from "../timestamps.js";

/** An event ready for its envelope. */
export interface EventMessage {
  readonly topic: string;
  /** The message's full name, bare. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/**
 * containerd's message for an event.
 *
 * @param request - by which the container was made: its creation is told with it
 */
export function eventMessage(event: ContainerEvent, request: CreateTaskRequest): EventMessage {
  const containerId = request.id;
  switch (event.type) {
    case "created": {
      const { bundle, rootfs, checkpoint, stdin, stdout, stderr, terminal } = request;
      const io = { stdin, stdout, stderr, terminal };
      return message("/tasks/create", TaskCreateSchema, {
        containerId,
        bundle,
        rootfs,
        io,
        checkpoint,
        pid: event.pid,
      });
    }
    case "started":
      return message("/tasks/start", TaskStartSchema, { containerId, pid: event.pid });
    case "exec-added":
      return message("/tasks/exec-added", TaskExecAddedSchema, { containerId, execId: event.process.id });
    case "exec-started": {
      const { id: execId, pid } = event.process;
      return message("/tasks/exec-started", TaskExecStartedSchema, { containerId, execId, pid });
    }
    case "exited": {
      const { id, pid } = event.process;
      return message("/tasks/exit", TaskExitSchema, {
        containerId,
        id: id === "" ? containerId : id,
        pid,
        exitStatus: event.exit.status,
        exitedAt: timestamp(event.exit.at),
      });
    }
    case "deleted":
      return message("/tasks/delete", TaskDeleteSchema, {
        containerId,
        pid: event.pid,
        exitStatus: event.exit.status,
        exitedAt: timestamp(event.exit.at),
      });
    case "out-of-memory":
      return message("/tasks/oom", TaskOOMSchema, { containerId });
    case "paused":
      return message("/tasks/paused", TaskPausedSchema, { containerId });
    case "resumed":
      return message("/tasks/resumed", TaskResumedSchema, { containerId });
  }
}

function message<Desc extends DescMessage>(
  topic: string,
  schema: Desc,
  fields: MessageInitShape<Desc>,
): EventMessage {
  return { topic, typeUrl: schema.typeName, value: toBinary(schema, create(schema, fields)) };
}
