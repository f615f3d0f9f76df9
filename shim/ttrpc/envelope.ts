import type { Status } from "./status.js";
import { MessageWriter, readFields, textOf, WireType } from "./wire.js";

/** Metadata of a call: values by key, in the order they were sent. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** A call as it travels: the payload of a request frame. */
export interface Request {
  /** Full name, for instance `containerd.task.v2.Task`. */
  readonly service: string;
  /** Bare name, for instance `Create`. */
  readonly method: string;
  readonly payload: Uint8Array;
  /** How long the caller will wait, in nanoseconds; 0 means without limit. */
  readonly timeoutNanoseconds: bigint;
  readonly metadata: Metadata;
}

/** An answer as it travels: the payload of a response frame. No status means success. */
export interface Response {
  readonly status?: Status;
  readonly payload: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** Serializes a request. */
export function encodeRequest(request: Request): Uint8Array {
  const writer = new MessageWriter()
    .text(1, request.service)
    .text(2, request.method)
    .bytes(3, request.payload)
    .varint(4, request.timeoutNanoseconds);
  for (const [key, values] of request.metadata) {
    for (const value of values) {
      writer.message(5, new MessageWriter().text(1, key).text(2, value).finish());
    }
  }
  return writer.finish();
}

/**
 * Parses a request. Unknown fields are ignored, a repeated field's last value counts.
 *
 * @throws WireError when the bytes are no protobuf message
 */
export function decodeRequest(bytes: Uint8Array): Request {
  let service = "";
  let method = "";
  let payload: Uint8Array = EMPTY;
  let timeoutNanoseconds = 0n;
  const metadata = new Map<string, string[]>();
  for (const field of readFields(bytes)) {
    if (field.wireType === WireType.Varint) {
      if (field.number === 4) {
        timeoutNanoseconds = BigInt.asIntN(64, field.value);
      }
      continue;
    }
    switch (field.number) {
      case 1:
        service = textOf(field.bytes);
        break;
      case 2:
        method = textOf(field.bytes);
        break;
      case 3:
        payload = field.bytes;
        break;
      case 5:
        addPair(metadata, field.bytes);
        break;
    }
  }
  return { service, method, payload, timeoutNanoseconds, metadata };
}

function addPair(metadata: Map<string, string[]>, bytes: Uint8Array): void {
  let key = "";
  let value = "";
  for (const field of readFields(bytes)) {
    if (field.wireType !== WireType.Bytes) {
      continue;
    }
    if (field.number === 1) {
      key = textOf(field.bytes);
    } else if (field.number === 2) {
      value = textOf(field.bytes);
    }
  }
  const values = metadata.get(key);
  if (values === undefined) {
    metadata.set(key, [value]);
  } else {
    values.push(value);
  }
}

/** Serializes a response. */
export function encodeResponse(response: Response): Uint8Array {
  const writer = new MessageWriter();
  if (response.status !== undefined) {
    const status = new MessageWriter()
      .varint(1, BigInt(response.status.code))
      .text(2, response.status.message);
    for (const detail of response.status.details) {
      status.message(3, detail);
    }
    writer.message(1, status.finish());
  }
  return writer.bytes(2, response.payload).finish();
}

/**
 * Parses a response. Unknown fields are ignored.
 *
 * @throws WireError when the bytes are no protobuf message
 */
export function decodeResponse(bytes: Uint8Array): Response {
  let status: Status | undefined;
  let payload: Uint8Array = EMPTY;
  for (const field of readFields(bytes)) {
    if (field.wireType !== WireType.Bytes) {
      continue;
    }
    if (field.number === 1) {
      status = decodeStatus(field.bytes);
    } else if (field.number === 2) {
      payload = field.bytes;
    }
  }
  return status === undefined ? { payload } : { status, payload };
}

function decodeStatus(bytes: Uint8Array): Status {
  let code = 0;
  let message = "";
  const details: Uint8Array[] = [];
  for (const field of readFields(bytes)) {
    if (field.wireType === WireType.Varint) {
      if (field.number === 1) {
        code = Number(BigInt.asIntN(32, field.value));
      }
    } else if (field.number === 2) {
      message = textOf(field.bytes);
    } else if (field.number === 3) {
      details.push(field.bytes);
    }
  }
  return { code, message, details };
}
