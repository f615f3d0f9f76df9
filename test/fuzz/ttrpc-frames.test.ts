import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import {
  decodeRequest,
  decodeResponse,
  encodeFrame,
  encodeRequest,
  encodeResponse,
  FrameDecoder,
  FrameType,
  MAXIMUM_PAYLOAD_LENGTH,
  TtrpcClient,
  TtrpcServer,
  type Decoded,
  type Frame,
  type Request,
} from "../../shim/ttrpc/index.js";

const anyFrame: fc.Arbitrary<Frame> = fc
  .record({
    streamId: fc.integer({ min: 0, max: 0xffffffff }),
    type: fc.integer({ min: 0, max: 255 }),
    flags: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map((frame) => ({ ...frame }));

const anyRequest: fc.Arbitrary<Request> = fc
  .record({
    service: fc.string({ unit: "binary" }),
    method: fc.string({ unit: "binary" }),
    payload: fc.uint8Array({ maxLength: 300 }),
    timeoutNanoseconds: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
    metadata: fc
      .array(
        fc.tuple(
          fc.string({ unit: "binary" }),
          fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 3 }),
        ),
      )
      .map((pairs) => new Map(pairs)),
  })
  .map((request) => ({ ...request }));

/** Cuts bytes at the given places, taken modulo the length. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.map((place) => place % (bytes.length + 1)).sort((one, other) => one - other);
  return [0, ...sorted].map((start, index) => bytes.slice(start, sorted[index] ?? bytes.length));
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

/** Pseudo-random numbers that a seed repeats (xorshift32). */
function generator(seed: number): (bound: number) => number {
  let state = seed >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % bound;
  };
}

/** Changes a few bytes, or takes out or repeats a stretch. */
function mutate(bytes: Uint8Array, random: (bound: number) => number): Uint8Array {
  let changed = Uint8Array.from(bytes);
  for (let count = random(6) + 1; count > 0 && changed.length > 0; count -= 1) {
    const at = random(changed.length);
    const length = random(Math.min(20, changed.length - at) + 1);
    switch (random(4)) {
      case 0:
        changed[at] = random(256);
        break;
      case 1:
        changed[at] = (changed[at] ?? 0) ^ (1 << random(8));
        break;
      case 2:
        changed = concatenate([
          changed.subarray(0, at),
          changed.subarray(at + length),
        ]) as Uint8Array<ArrayBuffer>;
        break;
      default:
        changed = concatenate([
          changed.subarray(0, at + length),
          changed.subarray(at),
        ]) as Uint8Array<ArrayBuffer>;
    }
  }
  return changed;
}

describe("ttrpc under arbitrary input", () => {
  it("decodes any frames from any pieces", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (frames, places) => {
          const decoder = new FrameDecoder();
          const found: Decoded[] = cut(concatenate(frames.map(encodeFrame)), places).flatMap((piece) => [
            ...decoder.push(piece),
          ]);
          assert.deepEqual(
            found,
            frames.map((frame) => ({ kind: "frame", frame })),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("reads back any request and any response", () => {
    fc.assert(
      fc.property(anyRequest, (request) => {
        assert.deepEqual(decodeRequest(encodeRequest(request)), request);
      }),
      { numRuns: 2000 },
    );
    const status = fc
      .record({
        code: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        message: fc.string({ unit: "binary" }),
        details: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 3 }),
      })
      .map((parts) => ({ ...parts }));
    const payload = fc.uint8Array({ maxLength: 300 });
    const response = fc.oneof(
      payload.map((bytes) => ({ payload: bytes })),
      fc.tuple(status, payload).map(([failed, bytes]) => ({ status: failed, payload: bytes })),
    );
    fc.assert(
      fc.property(response, (sent) => {
        assert.deepEqual(decodeResponse(encodeResponse(sent)), sent);
      }),
      { numRuns: 2000 },
    );
  });

  it("throws nothing but WireError for any bytes as a message", () => {
    const refuse = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
      try {
        decode(bytes);
      } catch (error) {
        assert.equal((error as Error).name, "WireError");
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        refuse(decodeRequest, bytes);
        refuse(decodeResponse, bytes);
      }),
      { numRuns: 5000 },
    );
    const seed = encodeRequest({
      service: "a.B",
      method: "C",
      payload: new Uint8Array(40).fill(0x22),
      timeoutNanoseconds: 1n << 40n,
      metadata: new Map([["key", ["one", "two"]]]),
    });
    const random = generator(20_260_101);
    for (let round = 0; round < 20_000; round += 1) {
      refuse(decodeRequest, mutate(seed, random));
    }
  });

  it("holds no more than one frame's bytes for any stream", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (pieces) => {
        const decoder = new FrameDecoder();
        for (const piece of pieces) {
          for (const decoded of decoder.push(piece)) {
            if (decoded.kind === "frame") {
              assert.ok(decoded.frame.payload.length <= MAXIMUM_PAYLOAD_LENGTH);
            } else {
              assert.ok(decoded.frame.announcedLength > MAXIMUM_PAYLOAD_LENGTH);
            }
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  describe("a server", () => {
    let folder: string;
    let server: TtrpcServer;
    let path: string;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "tine-fuzz-"));
      path = join(folder, "s");
      server = new TtrpcServer();
      server.register("a.B", {
        Echo: (payload) => payload,
        Fail: () => Promise.reject(new Error("failed")),
      });
      await server.listen(path);
    });

    after(async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    });

    it("survives mutated conversations and goes on serving others", async () => {
      const unhandled: unknown[] = [];
      const note = (error: unknown): void => void unhandled.push(error);
      process.on("unhandledRejection", note);
      const conversation = concatenate(
        ["Echo", "Fail", "None", "Echo"].map((method, index) =>
          encodeFrame({
            streamId: 2 * index + 1,
            type: FrameType.Request,
            flags: 0,
            payload: encodeRequest({
              service: "a.B",
              method,
              payload: Uint8Array.from([1, 2, 3]),
              timeoutNanoseconds: 1_000_000n,
              metadata: new Map([["key", ["value"]]]),
            }),
          }),
        ),
      );
      const bystander = await TtrpcClient.connect(path);
      const random = generator(4_096);
      try {
        for (let round = 0; round < 400; round += 1) {
          await converse(path, mutate(conversation, random));
          if (round % 20 === 0) {
            const payload = Uint8Array.from([round % 256]);
            assert.deepEqual(
              await bystander.call("a.B", "Echo", payload, { timeoutMilliseconds: 60_000 }),
              payload,
            );
          }
        }
        assert.deepEqual(unhandled, []);
        assert.equal(server.connectionCount, 1);
      } finally {
        process.off("unhandledRejection", note);
        bystander.close();
      }
    });
  });
});

/** Sends the bytes, half-closes, and waits for the other side to close too. */
function converse(path: string, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.resume();
    socket.end(bytes);
  });
}
