import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Handler, TtrpcServer } from "../ttrpc/index.js";
import { Task } from "../proto/gen/task_pb.js";
import { Task as TaskV3 } from "../proto/gen/task_v3_pb.js";
import { statusError } from "./errors.js";

type Methods = typeof Task.method;

/** What serves each method of the service: a message in, a message out. */
export type TaskMethods = {
  readonly [Name in keyof Methods]: (
    request: MessageShape<Methods[Name]["input"]>,
  ) => Promise<MessageInitShape<Methods[Name]["output"]>>;
};

/**
 * Serves the Task service under both of its names; their messages are the same.
 *
 * @param trace - told of each call and how it ended
 */
export function serveTask(server: TtrpcServer, methods: TaskMethods, trace: (line: string) => void): void {
  const handlers: Record<string, Handler> = {};
  for (const method of Task.methods) {
    // The table above has this very pair of messages under this name.
    const serve = methods[method.localName as keyof Methods] as (request: Message) => Promise<object>;
    handlers[method.name] = handler(method.name, method.input, method.output, serve, trace);
  }
  server.register(Task.typeName, handlers);
  server.register(TaskV3.typeName, handlers);
}

function handler(
  name: string,
  input: DescMessage,
  output: DescMessage,
  serve: (request: Message) => Promise<object>,
  trace: (line: string) => void,
): Handler {
  return async (payload) => {
    try {
      const answer = await serve(fromBinary(input, payload));
      trace(`${name}: done`);
      return toBinary(output, create(output, answer as MessageInitShape<typeof output>));
    } catch (error) {
      const status = statusError(error);
      trace(`${name}: ${status.message}`);
      throw status;
    }
  };
}
