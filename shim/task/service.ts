import { Task } from "../proto/gen/task_pb.js";
import { Task as TaskV3 } from "../proto/gen/task_v3_pb.js";
import { serviceHandlers, type ServiceImplementation } from "../proto/service.js";
import type { Handler, TtrpcServer } from "../ttrpc/index.js";
import { statusError } from "./errors.js";

/** What serves each method of the service: a message in, a message out. */
export type TaskMethods = ServiceImplementation<typeof Task>;

/**
 * Serves the Task service under both of its names; their messages are the same.
 *
 * @param trace - told of each call and how it ended
 */
export function serveTask(server: TtrpcServer, methods: TaskMethods, trace: (line: string) => void): void {
  const handlers = Object.fromEntries(
    Object.entries(serviceHandlers(Task, methods)).map(([name, handler]) => [
      name,
      withStatus(name, handler, trace),
    ]),
  );
  server.register(Task.typeName, handlers);
  server.register(TaskV3.typeName, handlers);
}

function withStatus(name: string, handler: Handler, trace: (line: string) => void): Handler {
  return async (payload, context) => {
    try {
      const answer = await handler(payload, context);
      trace(`${name}: done`);
      return answer;
    } catch (error) {
      const status = statusError(error);
      trace(`${name}: ${status.message}`);
      throw status;
    }
  };
}
