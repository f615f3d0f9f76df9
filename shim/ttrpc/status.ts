/**
 * Status codes of an answer. The numbers are those of google.rpc.Code, which
 * ttrpc shares with gRPC.
 */
export const StatusCode = {
  Ok: 0,
  Cancelled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** One of the listed codes. */
export type StatusCode = (typeof StatusCode)[keyof typeof StatusCode];

/** An answer's status as it travels: google.rpc.Status. Details are serialized `Any` messages. */
export interface Status {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Uint8Array[];
}

/**
 * An error with a status code. A handler throws one to choose the code its
 * caller sees; a client's call rejects with one, whether the status came from
 * the other side or arose here (time-out, closed connection, oversize message).
 */
export class TtrpcError extends Error {
  override readonly name = "TtrpcError";

  /**
   * @param code - one of {@link StatusCode}; an unlisted number from the wire is kept as it is
   * @param message - what a person reads; containerd's clients match on it
   * @param details - serialized google.protobuf.Any messages, passed through untouched
   */
  constructor(
    readonly code: StatusCode,
    message: string,
    readonly details: readonly Uint8Array[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The status to answer with when a handler threw: its own for a
 * {@link TtrpcError}, {@link StatusCode.Unknown} for anything else, as
 * ttrpc's reference implementation does.
 */
export function statusOf(thrown: unknown): Status {
  if (thrown instanceof TtrpcError) {
    // A thrown "ok" would read as success to the caller, who got no payload.
    const code = thrown.code === StatusCode.Ok ? StatusCode.Unknown : thrown.code;
    return { code, message: thrown.message, details: thrown.details };
  }
  return { code: StatusCode.Unknown, message: messageOf(thrown), details: [] };
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) {
    return thrown.message;
  }
  try {
    return String(thrown);
  } catch {
    return "a value that cannot be printed was thrown";
  }
}
