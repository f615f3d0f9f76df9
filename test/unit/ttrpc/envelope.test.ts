import assert from "node:assert/strict";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type Request,
  type Response,
} from "../../../shim/ttrpc/index.js";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const fullRequest: Request = {
  service: "containerd.task.v2.Task",
  method: "Create",
  payload: Uint8Array.from([1, 2, 3]),
  timeoutNanoseconds: 5_000_000_000n,
  metadata: new Map([
    ["containerd-namespace-ttrpc", ["default", "second"]],
    ["ключ", [""]],
  ]),
};

/** The same message by another implementation of the wire format. */
function requestByLibrary(): Uint8Array {
  const pair = (key: string, value: string): Uint8Array => {
    const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(key);
    return (value === "" ? writer : writer.tag(2, WireType.LengthDelimited).string(value)).finish();
  };
  return new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string("containerd.task.v2.Task")
    .tag(2, WireType.LengthDelimited)
    .string("Create")
    .tag(3, WireType.LengthDelimited)
    .bytes(Uint8Array.from([1, 2, 3]))
    .tag(4, WireType.Varint)
    .int64(5_000_000_000n)
    .tag(5, WireType.LengthDelimited)
    .bytes(pair("containerd-namespace-ttrpc", "default"))
    .tag(5, WireType.LengthDelimited)
    .bytes(pair("containerd-namespace-ttrpc", "second"))
    .tag(5, WireType.LengthDelimited)
    .bytes(pair("ключ", ""))
    .finish();
}

describe("ttrpc request and response messages", () => {
  it("encodes a request as protobuf does and reads it back", () => {
    assert.deepEqual(encodeRequest(fullRequest), new Uint8Array(requestByLibrary()));
    assert.deepEqual(decodeRequest(requestByLibrary()), fullRequest);
  });

  it("leaves out what has its default", () => {
    const request: Request = {
      service: "",
      method: "",
      payload: new Uint8Array(0),
      timeoutNanoseconds: 0n,
      metadata: new Map(),
    };
    assert.deepEqual(encodeRequest(request), new Uint8Array(0));
    assert.deepEqual(decodeRequest(new Uint8Array(0)), request);
    assert.deepEqual(encodeResponse({ payload: new Uint8Array(0) }), new Uint8Array(0));
    assert.deepEqual(decodeResponse(new Uint8Array(0)), { payload: new Uint8Array(0) });
  });

  it("carries status, message and details of a failure", () => {
    const response: Response = {
      status: { code: 5, message: "container c1 not found", details: [text("one"), new Uint8Array(0)] },
      payload: new Uint8Array(0),
    };
    assert.deepEqual(decodeResponse(encodeResponse(response)), response);
    const reader = new BinaryReader(encodeResponse(response));
    assert.deepEqual(reader.tag(), [1, WireType.LengthDelimited]);
    const status = new BinaryReader(reader.bytes());
    assert.deepEqual(status.tag(), [1, WireType.Varint]);
    assert.equal(status.int32(), 5);
  });

  it("passes over fields it does not know, of every wire type", () => {
    const unknown = new BinaryWriter()
      .tag(100, WireType.Varint)
      .uint64(1n << 63n)
      .tag(101, WireType.Bit64)
      .fixed64(1n)
      .tag(102, WireType.Bit32)
      .fixed32(1)
      .tag(103, WireType.LengthDelimited)
      .string("later")
      .finish();
    const message = new Uint8Array(Buffer.concat([unknown, requestByLibrary(), unknown]));
    assert.deepEqual(decodeRequest(message), fullRequest);
  });

  it("keeps a negative timeout negative", () => {
    const request = { ...fullRequest, timeoutNanoseconds: -1n };
    assert.deepEqual(decodeRequest(encodeRequest(request)), request);
  });

  const malformed: [name: string, message: number[]][] = [
    ["a tag cut off", [0x80]],
    ["a length past the end", [0x0a, 0x05, 0x61]],
    ["a length near 2^64", [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ["field number 0", [0x02, 0x00]],
    ["a group", [0x0b]],
    ["wire type 7", [0x0f]],
    ["a varint of eleven bytes", [0x20, ...new Array<number>(10).fill(0xff), 0x01]],
    ["a fixed field cut off", [0x0d, 0x00]],
  ];
  for (const [name, message] of malformed) {
    it(`refuses ${name}`, () => {
      assert.throws(() => decodeRequest(Uint8Array.from(message)), { name: "WireError" });
      assert.throws(() => decodeResponse(Uint8Array.from(message)), { name: "WireError" });
    });
  }
});
