import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import {
  decodeRequest,
  encodeFrame,
  encodeResponse,
  FrameDecoder,
  FrameType,
  HEADER_LENGTH,
  MAXIMUM_PAYLOAD_LENGTH,
  StatusCode,
  TtrpcClient,
  TtrpcError,
  type Request,
} from "../../../shim/ttrpc/index.js";
import { temporaryFolder } from "./socket.js";

const empty = new Uint8Array(0);

/** A server that leaves the answering to the test. */
class ScriptedServer {
  readonly received: { streamId: number; request: Request }[] = [];
  readonly sockets: Socket[] = [];
  #wake: () => void = () => undefined;
  readonly #server: Server = createServer((socket) => {
    this.sockets.push(socket);
    const decoder = new FrameDecoder();
    socket.on("error", () => undefined);
    socket.on("data", (piece: Buffer) => {
      for (const decoded of decoder.push(new Uint8Array(piece))) {
        if (decoded.kind === "frame") {
          const { streamId, payload } = decoded.frame;
          this.received.push({ streamId, request: decodeRequest(payload) });
        }
      }
      this.#wake();
    });
  });

  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(path, resolve));
  }

  async requests(count: number): Promise<{ streamId: number; request: Request }[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.received;
  }

  send(streamId: number, payload: Uint8Array, type: number = FrameType.Response): void {
    this.sockets[0]?.write(encodeFrame({ streamId, type, flags: 0, payload }));
  }

  close(): void {
    this.#server.close();
    this.sockets.forEach((socket) => socket.destroy());
  }
}

describe("ttrpc client", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  let server: ScriptedServer;
  let client: TtrpcClient;

  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, "s");
    server = new ScriptedServer();
    await server.listen(path);
    client = await TtrpcClient.connect(path);
  });

  afterEach(async () => {
    client.close();
    server.close();
    await folder.remove();
  });

  it("sends service, method, payload, time-out and metadata on odd, increasing streams", async () => {
    const calls = [
      client.call("a.B", "First", Uint8Array.from([1]), {
        timeoutMilliseconds: 1500,
        metadata: [
          ["key", "one"],
          ["key", "two"],
        ],
      }),
      client.call("a.B", "Second", empty),
    ];
    const received = await server.requests(2);
    assert.deepEqual(received, [
      {
        streamId: 1,
        request: {
          service: "a.B",
          method: "First",
          payload: Uint8Array.from([1]),
          timeoutNanoseconds: 1_500_000_000n,
          metadata: new Map([["key", ["one", "two"]]]),
        },
      },
      {
        streamId: 3,
        request: {
          service: "a.B",
          method: "Second",
          payload: empty,
          timeoutNanoseconds: 0n,
          metadata: new Map(),
        },
      },
    ]);
    server.send(3, encodeResponse({ payload: Uint8Array.from([3]) }));
    server.send(1, encodeResponse({ payload: Uint8Array.from([1]) }));
    assert.deepEqual(await Promise.all(calls), [Uint8Array.from([1]), Uint8Array.from([3])]);
  });

  it("rejects with the server's status", async () => {
    const call = client.call("a.B", "C", empty);
    const details = [Uint8Array.from([1])];
    await server.requests(1);
    server.send(1, encodeResponse({ status: { code: 9, message: "not yet", details }, payload: empty }));
    await assert.rejects(call, {
      name: "TtrpcError",
      code: StatusCode.FailedPrecondition,
      message: "not yet",
      details,
    });
  });

  it("takes a status of code 0 as success", async () => {
    const call = client.call("a.B", "C", empty);
    await server.requests(1);
    server.send(
      1,
      encodeResponse({ status: { code: 0, message: "", details: [] }, payload: Uint8Array.from([5]) }),
    );
    assert.deepEqual(await call, Uint8Array.from([5]));
  });

  it("rejects with DeadlineExceeded when no answer comes in time, and ignores a late one", async () => {
    await assert.rejects(client.call("a.B", "C", empty, { timeoutMilliseconds: 20 }), {
      code: StatusCode.DeadlineExceeded,
      message: "no answer within 20 ms",
    });
    server.send(1, encodeResponse({ payload: Uint8Array.from([1]) }));
    const second = client.call("a.B", "D", empty);
    await server.requests(2);
    server.send(3, encodeResponse({ payload: Uint8Array.from([3]) }));
    assert.deepEqual(await second, Uint8Array.from([3]));
  });

  it("rejects with Cancelled when the signal is aborted, before or during the call", async () => {
    const controller = new AbortController();
    const call = client.call("a.B", "C", empty, { signal: controller.signal });
    controller.abort();
    await assert.rejects(call, { code: StatusCode.Cancelled });
    await assert.rejects(client.call("a.B", "C", empty, { signal: controller.signal }), {
      code: StatusCode.Cancelled,
    });
    assert.equal((await server.requests(1)).length, 1);
  });

  it("rejects what is pending, and every later call, when the server goes", async () => {
    const calls = [client.call("a.B", "C", empty), client.call("a.B", "D", empty)];
    await server.requests(2);
    server.close();
    const expected = { code: StatusCode.Unavailable, message: "the connection was closed" };
    for (const call of calls) {
      await assert.rejects(call, expected);
    }
    assert.equal((await client.closed).code, StatusCode.Unavailable);
    await assert.rejects(client.call("a.B", "E", empty), expected);
  });

  it("tells when the connection ended inside a frame", async () => {
    const call = client.call("a.B", "C", empty);
    await server.requests(1);
    server.sockets[0]?.end(Uint8Array.from([0, 0, 0, 9]));
    await assert.rejects(call, {
      code: StatusCode.Unavailable,
      message: "the connection was closed: the connection ended inside a frame",
    });
  });

  it("rejects what is pending when it is closed itself", async () => {
    const call = client.call("a.B", "C", empty);
    client.close();
    await assert.rejects(call, { code: StatusCode.Unavailable, message: "the client was closed" });
    assert.equal((await client.closed).message, "the client was closed");
  });

  it("does not send a request over 4 MiB", async () => {
    await assert.rejects(client.call("a.B", "C", new Uint8Array(MAXIMUM_PAYLOAD_LENGTH)), {
      code: StatusCode.ResourceExhausted,
    });
    const second = client.call("a.B", "D", empty);
    const received = await server.requests(1);
    assert.deepEqual(
      received.map(({ request }) => request.method),
      ["D"],
    );
    server.send(3, empty);
    assert.deepEqual(await second, empty);
  });

  it("rejects with ResourceExhausted when the answer is over 4 MiB", async () => {
    const call = client.call("a.B", "C", empty);
    await server.requests(1);
    const header = Buffer.alloc(HEADER_LENGTH);
    header.writeUInt32BE(MAXIMUM_PAYLOAD_LENGTH + 1, 0);
    header.writeUInt32BE(1, 4);
    header[8] = FrameType.Response;
    server.sockets[0]?.write(header);
    await assert.rejects(call, { code: StatusCode.ResourceExhausted });
  });

  it("rejects with Internal when the answer is no message, and ignores answers nobody waits for", async () => {
    const call = client.call("a.B", "C", empty);
    await server.requests(1);
    server.send(77, empty);
    server.send(1, empty, FrameType.Data);
    server.send(1, Uint8Array.from([0xff]));
    await assert.rejects(call, {
      code: StatusCode.Internal,
      message: "malformed response: the message ends inside a varint",
    });
  });

  it("rejects connect with the system's error", async () => {
    await assert.rejects(TtrpcClient.connect(join(folder.path, "none")), { code: "ENOENT" });
  });

  it("is a TtrpcError that callers can tell by class", async () => {
    client.close();
    await assert.rejects(client.call("a.B", "C", empty), TtrpcError);
  });
});
