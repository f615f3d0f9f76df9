import assert from "node:assert/strict";
import {
  encodeFrame,
  FrameDecoder,
  FrameType,
  HEADER_LENGTH,
  MAXIMUM_PAYLOAD_LENGTH,
  OversizePayloadError,
  type Decoded,
} from "../../../shim/ttrpc/index.js";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

const request = bytes(0, 0, 0, 3, 1, 2, 3, 5, 1, 0, 7, 8, 9);
const empty = bytes(0, 0, 0, 0, 0, 0, 0, 1, 2, 4);

const decodedRequest: Decoded = {
  kind: "frame",
  frame: { streamId: 0x01020305, type: FrameType.Request, flags: 0, payload: bytes(7, 8, 9) },
};
const decodedEmpty: Decoded = {
  kind: "frame",
  frame: { streamId: 1, type: FrameType.Response, flags: 4, payload: bytes() },
};

describe("ttrpc frames", () => {
  it("puts length, stream, type and flags before the payload, big-endian", () => {
    const payload = bytes(7, 8, 9);
    assert.deepEqual(encodeFrame({ streamId: 0x01020305, type: 1, flags: 0, payload }), request);
    assert.deepEqual(encodeFrame({ streamId: 1, type: 2, flags: 4, payload: bytes() }), empty);
  });

  it("refuses to encode a payload over 4 MiB and takes one of exactly 4 MiB", () => {
    const largest = new Uint8Array(MAXIMUM_PAYLOAD_LENGTH);
    assert.equal(
      encodeFrame({ streamId: 1, type: 1, flags: 0, payload: largest }).length,
      HEADER_LENGTH + largest.length,
    );
    const payload = new Uint8Array(MAXIMUM_PAYLOAD_LENGTH + 1);
    assert.throws(() => encodeFrame({ streamId: 1, type: 1, flags: 0, payload }), OversizePayloadError);
  });

  it("finds the same frames however the stream is cut", () => {
    const stream = Buffer.concat([request, empty, request]);
    for (let first = 0; first <= stream.length; first += 1) {
      for (let second = first; second <= stream.length; second += 1) {
        const decoder = new FrameDecoder();
        const found = [
          stream.subarray(0, first),
          stream.subarray(first, second),
          stream.subarray(second),
        ].flatMap((piece) => [...decoder.push(new Uint8Array(piece))]);
        assert.deepEqual(
          found,
          [decodedRequest, decodedEmpty, decodedRequest],
          `cut at ${first} and ${second}`,
        );
        assert.equal(decoder.partial, false);
      }
    }
  });

  it("skips an oversize payload, tells of it once and goes on with the next frame", () => {
    const length = MAXIMUM_PAYLOAD_LENGTH + 1;
    const header = Buffer.alloc(HEADER_LENGTH);
    header.writeUInt32BE(length, 0);
    header.writeUInt32BE(9, 4);
    header[8] = FrameType.Request;
    const decoder = new FrameDecoder();
    const found = [...decoder.push(new Uint8Array(header))];
    for (let sent = 0; sent < length; sent += 1 << 20) {
      found.push(...decoder.push(new Uint8Array(Math.min(1 << 20, length - sent)).fill(0xff)));
    }
    found.push(...decoder.push(request));
    assert.deepEqual(found, [
      {
        kind: "oversize",
        frame: { streamId: 9, type: FrameType.Request, flags: 0, announcedLength: length },
      },
      decodedRequest,
    ]);
  });

  it("knows whether the stream ends inside a frame", () => {
    for (let length = 0; length <= request.length; length += 1) {
      const decoder = new FrameDecoder();
      assert.equal([...decoder.push(request.subarray(0, length))].length, length === request.length ? 1 : 0);
      assert.equal(decoder.partial, length !== 0 && length !== request.length, `${length} bytes`);
    }
  });
});
