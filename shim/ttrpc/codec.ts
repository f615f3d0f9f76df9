/** Bytes before a frame's payload: length, stream identifier, type, flags. */
export const HEADER_LENGTH = 10;

/** The largest payload a frame may carry, in bytes. */
export const MAXIMUM_PAYLOAD_LENGTH = 4 * 1024 * 1024;

/** What a frame is. Receivers ignore numbers they do not know. */
export const FrameType = { Request: 1, Response: 2, Data: 3 } as const;

/** Bits of a frame's flags. Unary calls use none of them. */
export const FrameFlag = { RemoteClosed: 0x1, RemoteOpen: 0x2, NoData: 0x4 } as const;

/** One frame. */
export interface Frame {
  /** Unsigned 32-bit; odd for streams a client opened. */
  readonly streamId: number;
  /** A {@link FrameType}, or a number not known here. */
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** The header of a frame whose payload is too large; the payload itself is thrown away. */
export interface OversizeFrame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  /** The length the header announced, in bytes. */
  readonly announcedLength: number;
}

/** What a decoder finds in the stream of bytes. */
export type Decoded =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "oversize"; readonly frame: OversizeFrame };

/** Thrown by {@link encodeFrame} for a payload over {@link MAXIMUM_PAYLOAD_LENGTH}. */
export class OversizePayloadError extends RangeError {
  override readonly name = "OversizePayloadError";

  constructor(readonly length: number) {
    super(`message of ${length} bytes exceeds the limit of ${MAXIMUM_PAYLOAD_LENGTH} bytes`);
  }
}

/**
 * The bytes of one frame, header first, integers big-endian.
 *
 * @throws {@link OversizePayloadError} when the payload is over the limit
 */
export function encodeFrame(frame: Frame): Uint8Array {
  if (frame.payload.length > MAXIMUM_PAYLOAD_LENGTH) {
    throw new OversizePayloadError(frame.payload.length);
  }
  const bytes = new Uint8Array(HEADER_LENGTH + frame.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, frame.payload.length);
  view.setUint32(4, frame.streamId);
  view.setUint8(8, frame.type);
  view.setUint8(9, frame.flags);
  bytes.set(frame.payload, HEADER_LENGTH);
  return bytes;
}

interface Header {
  readonly length: number;
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
}

/**
 * Finds frames in a stream of bytes that arrives in pieces of any size.
 *
 * Holds at most one frame's bytes: a payload's space is reserved when its
 * header is complete and within the limit, and an oversize payload is skipped
 * without being kept.
 */
export class FrameDecoder {
  readonly #headerBytes = new Uint8Array(HEADER_LENGTH);
  #headerFilled = 0;
  #header: Header | undefined;
  #payload = new Uint8Array(0);
  #payloadFilled = 0;
  #toDiscard = 0;

  /** Takes the next piece of the stream and yields what became complete with it, in order. */
  *push(piece: Uint8Array): Generator<Decoded, void, undefined> {
    let rest = piece;
    while (rest.length > 0) {
      if (this.#toDiscard > 0) {
        const skipped = Math.min(this.#toDiscard, rest.length);
        this.#toDiscard -= skipped;
        rest = rest.subarray(skipped);
        continue;
      }
      if (this.#header === undefined) {
        rest = this.#takeHeader(rest);
        if (this.#headerFilled < HEADER_LENGTH) {
          return;
        }
        this.#headerFilled = 0;
        const header = parseHeader(this.#headerBytes);
        if (header.length > MAXIMUM_PAYLOAD_LENGTH) {
          this.#toDiscard = header.length;
          const { length: announcedLength, ...others } = header;
          yield { kind: "oversize", frame: { ...others, announcedLength } };
          continue;
        }
        this.#header = header;
        this.#payload = new Uint8Array(header.length);
        this.#payloadFilled = 0;
      }
      const wanted = this.#payload.length - this.#payloadFilled;
      const taken = rest.subarray(0, wanted);
      this.#payload.set(taken, this.#payloadFilled);
      this.#payloadFilled += taken.length;
      rest = rest.subarray(taken.length);
      if (this.#payloadFilled === this.#payload.length) {
        const { streamId, type, flags } = this.#header;
        const payload = this.#payload;
        this.#header = undefined;
        this.#payload = new Uint8Array(0);
        yield { kind: "frame", frame: { streamId, type, flags, payload } };
      }
    }
  }

  /** Whether the bytes so far end inside a frame. */
  get partial(): boolean {
    return this.#headerFilled > 0 || this.#header !== undefined || this.#toDiscard > 0;
  }

  #takeHeader(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, HEADER_LENGTH - this.#headerFilled);
    this.#headerBytes.set(taken, this.#headerFilled);
    this.#headerFilled += taken.length;
    return bytes.subarray(taken.length);
  }
}

function parseHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_LENGTH);
  return {
    length: view.getUint32(0),
    streamId: view.getUint32(4),
    type: view.getUint8(8),
    flags: view.getUint8(9),
  };
}
