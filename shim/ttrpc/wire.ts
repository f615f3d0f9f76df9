/**
 * The little of protobuf's wire format that ttrpc's own three messages need:
 * varints, length-delimited fields, and skipping of what is not known.
 * Source: protobuf.dev, "Encoding".
 */

/** Wire types, the low three bits of a tag. */
export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;

/** Bytes that are not a protobuf message. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** One field of a message: a varint's value, or a length-delimited field's bytes. */
export type Field =
  | { readonly number: number; readonly wireType: typeof WireType.Varint; readonly value: bigint }
  | { readonly number: number; readonly wireType: typeof WireType.Bytes; readonly bytes: Uint8Array };

const MAXIMUM_FIELD_NUMBER = 0x1fffffff;
const MAXIMUM_VARINT_LENGTH = 10;
const MASK_64 = (1n << 64n) - 1n;

/**
 * The varint and length-delimited fields of a message in the order they
 * stand; fields of fixed width are skipped. The bytes are views of `message`.
 *
 * @throws {@link WireError} for truncated input, groups and invalid tags
 */
export function* readFields(message: Uint8Array): Generator<Field, void, undefined> {
  const cursor = new Cursor(message);
  while (!cursor.atEnd) {
    const tag = cursor.varint();
    const number = Number(tag >> 3n);
    if (number === 0 || number > MAXIMUM_FIELD_NUMBER) {
      throw new WireError(`field number ${number} is out of range`);
    }
    const wireType = Number(tag & 7n);
    switch (wireType) {
      case WireType.Varint:
        yield { number, wireType, value: cursor.varint() };
        break;
      case WireType.Bytes:
        yield { number, wireType, bytes: cursor.take(cursor.varint()) };
        break;
      case WireType.Fixed64:
        cursor.take(8n);
        break;
      case WireType.Fixed32:
        cursor.take(4n);
        break;
      default:
        throw new WireError(`wire type ${wireType} is not supported`);
    }
  }
}

class Cursor {
  #position = 0;

  constructor(readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.#position >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let index = 0; index < MAXIMUM_VARINT_LENGTH; index += 1) {
      const byte = this.bytes[this.#position];
      if (byte === undefined) {
        throw new WireError("the message ends inside a varint");
      }
      this.#position += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) {
        return value & MASK_64;
      }
    }
    throw new WireError("a varint is longer than ten bytes");
  }

  take(length: bigint): Uint8Array {
    if (length > BigInt(this.bytes.length - this.#position)) {
      throw new WireError("the message ends inside a field");
    }
    const start = this.#position;
    this.#position += Number(length);
    return this.bytes.subarray(start, this.#position);
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** UTF-8 text of a field; bytes that are no UTF-8 become U+FFFD, since no message is worth losing over one. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Builds a message field by field. As in proto3, a zero, empty string or empty bytes is left out. */
export class MessageWriter {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** An integer field; negative numbers travel as 64-bit two's complement. */
  varint(number: number, value: bigint): this {
    if (value !== 0n) {
      this.#append(encodeVarint((BigInt(number) << 3n) | BigInt(WireType.Varint)));
      this.#append(encodeVarint(value & MASK_64));
    }
    return this;
  }

  text(number: number, value: string): this {
    return value === "" ? this : this.message(number, encoder.encode(value));
  }

  bytes(number: number, value: Uint8Array): this {
    return value.length === 0 ? this : this.message(number, value);
  }

  /** A sub-message or an element of a repeated field: written even when empty. */
  message(number: number, value: Uint8Array): this {
    this.#append(encodeVarint((BigInt(number) << 3n) | BigInt(WireType.Bytes)));
    this.#append(encodeVarint(BigInt(value.length)));
    this.#append(value);
    return this;
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let position = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, position);
      position += piece.length;
    }
    return whole;
  }

  #append(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
