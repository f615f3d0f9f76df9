import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConnectResponseSchema, Task } from "../../../shim/proto/gen/task_pb.js";
import { Task as TaskV3 } from "../../../shim/proto/gen/task_v3_pb.js";
import { serviceClient, serviceHandlers, type ServiceImplementation } from "../../../shim/proto/service.js";
import { StatusCode, TtrpcClient, TtrpcServer } from "../../../shim/ttrpc/index.js";

/** A service of which two methods are there. */
class PartOfTask {
  readonly #pid = 42;

  connect(request: { id: string }): { shimPid: number; version: string } {
    return { shimPid: this.#pid, version: request.id };
  }

  async pause(): Promise<object> {
    return Promise.reject(new Error("cannot pause"));
  }
}

describe("a typed service over ttrpc", () => {
  let folder: string;
  let server: TtrpcServer;
  let connection: TtrpcClient;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-service-"));
    server = new TtrpcServer();
    const part = new PartOfTask() as unknown as ServiceImplementation<typeof Task>;
    server.register(Task.typeName, serviceHandlers(Task, part));
    server.register(TaskV3.typeName, serviceHandlers(TaskV3, part));
    await server.listen(join(folder, "s"));
    connection = await TtrpcClient.connect(join(folder, "s"));
  });

  after(async () => {
    connection.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("converts messages on both sides and keeps the implementation's this", async () => {
    const expected = create(ConnectResponseSchema, { shimPid: 42, version: "c1" });
    assert.deepEqual(await serviceClient(Task, connection).connect({ id: "c1" }), expected);
    assert.deepEqual(await serviceClient(TaskV3, connection).connect({ id: "c1" }), expected);
  });

  it("passes on what the implementation throws", async () => {
    await assert.rejects(serviceClient(Task, connection).pause({ id: "c1" }), {
      code: StatusCode.Unknown,
      message: "cannot pause",
    });
  });

  it("answers Unimplemented for methods that are not there", async () => {
    await assert.rejects(serviceClient(Task, connection).stats({ id: "c1" }), {
      code: StatusCode.Unimplemented,
    });
  });

  it("answers InvalidArgument to bytes that are no such message", async () => {
    await assert.rejects(connection.call(Task.typeName, "Connect", Uint8Array.from([0xff])), {
      code: StatusCode.InvalidArgument,
    });
  });
});
