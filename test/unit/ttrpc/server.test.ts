import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { linkSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeFrame,
  FrameType,
  HEADER_LENGTH,
  MAXIMUM_PAYLOAD_LENGTH,
  StatusCode,
  TtrpcError,
  TtrpcServer,
  type CallContext,
  type Handler,
} from "../../../shim/ttrpc/index.js";
import { RawClient, requestOf, temporaryFolder } from "./socket.js";

const empty = new Uint8Array(0);
const failure = (code: StatusCode, message: string) => ({
  status: { code, message, details: [] },
  payload: empty,
});

describe("ttrpc server", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let path: string;
  let server: TtrpcServer;
  let client: RawClient;
  let contexts: CallContext[];
  let releases: (() => void)[];

  const methods: Record<string, Handler> = {
    Echo: (payload, context) => {
      contexts.push(context);
      return payload;
    },
    Block: async (payload, context) => {
      contexts.push(context);
      await new Promise<void>((resolve) => releases.push(resolve));
      return payload;
    },
    NotFound: async () => {
      await sleep(0);
      throw new TtrpcError(StatusCode.NotFound, "no such container", [Uint8Array.from([1])]);
    },
    ThrowsAtOnce: () => {
      throw new Error("broken");
    },
    ThrowsNothing: () => {
      // What code that is not ours may do.
      const nothing: unknown = undefined;
      throw nothing as Error;
    },
    ThrowsOk: () => {
      throw new TtrpcError(StatusCode.Ok, "no failure");
    },
    TooMuch: () => new Uint8Array(MAXIMUM_PAYLOAD_LENGTH + 1),
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder.path, "s");
    contexts = [];
    releases = [];
    server = new TtrpcServer();
    server.register("test.Echo", methods);
    await server.listen(path);
    client = await RawClient.connect(path);
  });

  afterEach(async () => {
    client.close();
    await server.close();
    await folder.remove();
  });

  it("answers on the request's stream with the handler's payload", async () => {
    client.sendRequest(1, requestOf({ payload: Uint8Array.from([4, 2]) }));
    assert.deepEqual(await client.responses(1), [
      { streamId: 1, response: { payload: Uint8Array.from([4, 2]) } },
    ]);
  });

  it("hands metadata and time-out to the handler", async () => {
    const metadata = new Map([["containerd-namespace-ttrpc", ["n1"]]]);
    client.sendRequest(1, requestOf({ metadata, timeoutNanoseconds: 7_000_000_000n }));
    await client.responses(1);
    assert.equal(contexts.length, 1);
    assert.deepEqual(contexts.at(0)?.metadata, metadata);
    assert.equal(contexts.at(0)?.timeoutNanoseconds, 7_000_000_000n);
    assert.equal(contexts.at(0)?.signal.aborted, false);
  });

  it("lets no blocked call hold up another", async () => {
    client.sendRequest(1, requestOf({ method: "Block", payload: Uint8Array.from([1]) }));
    client.sendRequest(3, requestOf({ payload: Uint8Array.from([3]) }));
    assert.deepEqual(await client.responses(1), [
      { streamId: 3, response: { payload: Uint8Array.from([3]) } },
    ]);
    releases[0]?.();
    assert.deepEqual(await client.responses(1), [
      { streamId: 1, response: { payload: Uint8Array.from([1]) } },
    ]);
  });

  it("maps what a handler throws to a status, and goes on", async () => {
    const names = ["NotFound", "ThrowsAtOnce", "ThrowsNothing", "ThrowsOk", "TooMuch", "Echo"];
    const answers = new Map<string, unknown>();
    for (const [index, method] of names.entries()) {
      client.sendRequest(2 * index + 1, requestOf({ method }));
      const [answer] = await client.responses(1);
      assert.equal(answer?.streamId, 2 * index + 1);
      answers.set(method, answer.response);
    }
    assert.deepEqual(
      answers,
      new Map<string, unknown>([
        [
          "NotFound",
          {
            status: {
              code: StatusCode.NotFound,
              message: "no such container",
              details: [Uint8Array.from([1])],
            },
            payload: empty,
          },
        ],
        ["ThrowsAtOnce", failure(StatusCode.Unknown, "broken")],
        ["ThrowsNothing", failure(StatusCode.Unknown, "undefined")],
        ["ThrowsOk", failure(StatusCode.Unknown, "no failure")],
        [
          "TooMuch",
          failure(
            StatusCode.ResourceExhausted,
            `message of ${MAXIMUM_PAYLOAD_LENGTH + 6} bytes exceeds the limit of ${MAXIMUM_PAYLOAD_LENGTH} bytes`,
          ),
        ],
        ["Echo", { payload: empty }],
      ]),
    );
  });

  it("answers Unimplemented for what is not registered, names of Object's own members included", async () => {
    client.sendRequest(1, requestOf({ service: "test.Other" }));
    client.sendRequest(3, requestOf({ method: "constructor" }));
    client.sendRequest(5, requestOf({ service: "__proto__", method: "toString" }));
    assert.deepEqual(await client.responses(3), [
      { streamId: 1, response: failure(StatusCode.Unimplemented, "service test.Other is not implemented") },
      {
        streamId: 3,
        response: failure(
          StatusCode.Unimplemented,
          "method constructor of service test.Echo is not implemented",
        ),
      },
      { streamId: 5, response: failure(StatusCode.Unimplemented, "service __proto__ is not implemented") },
    ]);
  });

  it("refuses even and repeated stream identifiers with InvalidArgument", async () => {
    client.sendRequest(2, requestOf({}));
    client.sendRequest(5, requestOf({}));
    client.sendRequest(5, requestOf({}));
    client.sendRequest(3, requestOf({}));
    client.sendRequest(0xffffffff, requestOf({}));
    const answers = await client.responses(5);
    assert.deepEqual(
      answers.map(({ streamId, response }) => [streamId, response.status?.code ?? 0]).sort(),
      [
        [2, StatusCode.InvalidArgument],
        [5, StatusCode.InvalidArgument],
        [3, StatusCode.InvalidArgument],
        [5, StatusCode.Ok],
        [0xffffffff, StatusCode.Ok],
      ].sort(),
    );
    assert.equal(contexts.length, 2);
  });

  it("discards an oversize request, answers ResourceExhausted and reads on", async () => {
    const length = MAXIMUM_PAYLOAD_LENGTH + 1;
    const header = Buffer.alloc(HEADER_LENGTH);
    header.writeUInt32BE(length, 0);
    header.writeUInt32BE(1, 4);
    header[8] = FrameType.Request;
    client.send(new Uint8Array(header));
    client.send(new Uint8Array(length));
    client.sendRequest(3, requestOf({ payload: Uint8Array.from([3]) }));
    assert.deepEqual(await client.responses(2), [
      {
        streamId: 1,
        response: failure(
          StatusCode.ResourceExhausted,
          `message of ${length} bytes exceeds the limit of ${MAXIMUM_PAYLOAD_LENGTH} bytes`,
        ),
      },
      { streamId: 3, response: { payload: Uint8Array.from([3]) } },
    ]);
  });

  it("answers InvalidArgument to a request that is no message", async () => {
    client.send(
      encodeFrame({ streamId: 1, type: FrameType.Request, flags: 0, payload: Uint8Array.from([0xff]) }),
    );
    assert.deepEqual(await client.responses(1), [
      {
        streamId: 1,
        response: failure(StatusCode.InvalidArgument, "malformed request: the message ends inside a varint"),
      },
    ]);
  });

  it("ignores frames of other types, streaming's and unknown ones", async () => {
    for (const type of [0, FrameType.Response, FrameType.Data, 4, 255]) {
      client.send(encodeFrame({ streamId: 1, type, flags: 7, payload: Uint8Array.from([1, 2]) }));
    }
    client.sendRequest(1, requestOf({}));
    assert.deepEqual(await client.responses(1), [{ streamId: 1, response: { payload: empty } }]);
  });

  it("answers DeadlineExceeded when the caller's time is over, aborts the handler and drops its late answer", async () => {
    client.sendRequest(1, requestOf({ method: "Block", timeoutNanoseconds: 20_000_000n }));
    assert.deepEqual(await client.responses(1), [
      { streamId: 1, response: failure(StatusCode.DeadlineExceeded, "the call's time is over") },
    ]);
    assert.equal(contexts[0]?.signal.aborted, true);
    releases[0]?.();
    client.sendRequest(3, requestOf({}));
    assert.deepEqual(await client.responses(1), [{ streamId: 3, response: { payload: empty } }]);
  });

  it("aborts a call's signal when its connection is lost, and serves other connections on", async () => {
    const other = await RawClient.connect(path);
    other.sendRequest(1, requestOf({ method: "Block" }));
    while (contexts.length === 0) {
      await sleep(1);
    }
    const aborted = new Promise<void>((resolve) => {
      contexts[0]?.signal.addEventListener("abort", () => resolve());
    });
    other.close();
    await aborted;
    releases[0]?.();
    client.sendRequest(1, requestOf({}));
    assert.deepEqual(await client.responses(1), [{ streamId: 1, response: { payload: empty } }]);
    assert.equal(server.connectionCount, 1);
  });

  it("makes its socket accessible to its user alone and removes it when it closes", async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await server.close();
    assert.throws(() => statSync(path), { code: "ENOENT" });
  });

  it("sends what was answered before it closes", async () => {
    client.sendRequest(1, requestOf({ method: "Block", payload: new Uint8Array(1 << 20) }));
    while (releases.length === 0) {
      await sleep(1);
    }
    releases[0]?.();
    await sleep(0);
    await server.close();
    const [answer] = await client.responses(1);
    assert.equal(answer?.response.payload.length, 1 << 20);
  });

  it("answers the call whose handler closes it", async () => {
    server.register("test.Close", {
      Close: async (payload) => {
        void server.close();
        await Promise.resolve();
        return payload;
      },
    });
    client.sendRequest(
      1,
      requestOf({ service: "test.Close", method: "Close", payload: Uint8Array.from([1]) }),
    );
    assert.deepEqual(await client.responses(1), [
      { streamId: 1, response: { payload: Uint8Array.from([1]) } },
    ]);
  });

  it("serves a listening descriptor it was given, and leaves its name alone", async () => {
    const inherited = join(folder.path, "inherited");
    const owner = createServer();
    await new Promise<void>((resolve) => owner.listen(join(folder.path, "owned"), resolve));
    // Another process, since one event loop cannot watch a socket twice.
    const { fd } = (owner as unknown as { _handle: { fd: number } })._handle;
    const script = `
      import { TtrpcServer } from ${JSON.stringify(new URL("../../../shim/ttrpc/index.js", import.meta.url).href)};
      const server = new TtrpcServer();
      server.register("test.Echo", {
        Echo: (payload) => payload,
        Close: (payload) => (setImmediate(() => server.close()), payload),
      });
      await server.listen({ fd: 3 });`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "inherit", "inherit", fd],
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    // Closing removes the name it was bound to; the second one stays.
    linkSync(join(folder.path, "owned"), inherited);
    owner.close();
    const other = await RawClient.connect(inherited);
    other.sendRequest(1, requestOf({ payload: Uint8Array.from([1]) }));
    assert.deepEqual(await other.responses(1), [
      { streamId: 1, response: { payload: Uint8Array.from([1]) } },
    ]);
    other.sendRequest(3, requestOf({ method: "Close" }));
    assert.deepEqual(await other.responses(1), [{ streamId: 3, response: { payload: empty } }]);
    assert.equal(await ended, 0);
    assert.equal(statSync(inherited).isSocket(), true);
  });

  it("rejects listen with the system's error", async () => {
    await assert.rejects(new TtrpcServer().listen(path), { code: "EADDRINUSE" });
    // Node reports a missing folder as EACCES, as it would be on Windows.
    await assert.rejects(new TtrpcServer().listen(join(folder.path, "none", "s")), { code: "EACCES" });
  });

  it("refuses to register a service twice", () => {
    assert.throws(() => server.register("test.Echo", {}), /service test.Echo is registered already/);
  });

  it("stops reading from a client that takes no answers, and goes on when it does", async () => {
    const greedy = await RawClient.connect(path);
    greedy.socket.pause();
    const payload = new Uint8Array(1 << 20);
    const count = 40;
    for (let index = 0; index < count; index += 1) {
      greedy.sendRequest(2 * index + 1, requestOf({ payload }));
    }
    await sleep(300);
    assert.ok(contexts.length < count, `${contexts.length} of ${count} requests were taken in`);
    greedy.socket.resume();
    assert.equal((await greedy.responses(count)).length, count);
    greedy.close();
  });
});
