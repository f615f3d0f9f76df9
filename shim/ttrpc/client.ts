import { connect, type Socket } from "node:net";
import { FrameType, OversizePayloadError, type Frame } from "./codec.js";
import { Connection } from "./connection.js";
import { decodeResponse, encodeRequest, type Response } from "./envelope.js";
import { StatusCode, TtrpcError } from "./status.js";

/** Settings of one call. */
export interface CallOptions {
  /** Give up after this long; the server is told too. Without it the call waits for ever. */
  readonly timeoutMilliseconds?: number;
  /** Sent along, in order; a key may come more than once. */
  readonly metadata?: Iterable<readonly [key: string, value: string]>;
  /** Gives up when aborted. The protocol has no way to tell the server. */
  readonly signal?: AbortSignal;
}

/** Settings of {@link TtrpcClient.connect}. */
export interface ConnectOptions {
  /** Give up connecting after this long. */
  readonly timeoutMilliseconds?: number;
}

interface PendingCall {
  settle(outcome: Response | TtrpcError): void;
}

const LAST_STREAM_ID = 0xffffffff;
const MAXIMUM_TIMER_MILLISECONDS = 0x7fffffff;

/**
 * One connection to a server, carrying any number of calls at a time. A lost
 * connection rejects what is pending and stays lost: to connect anew is the
 * caller's decision.
 */
export class TtrpcClient {
  readonly #connection: Connection;
  readonly #pending = new Map<number, PendingCall>();
  #nextStreamId = 1;
  #closedBecause: TtrpcError | undefined;
  #resolveClosed: (error: TtrpcError) => void = () => undefined;

  /** Resolves, never rejects, with the reason once the connection is gone. */
  readonly closed: Promise<TtrpcError>;

  private constructor(socket: Socket) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#connection = new Connection(socket, {
      frame: (frame) => this.#receive(frame),
      oversize: (frame) => {
        if (frame.type === FrameType.Response) {
          const { message } = new OversizePayloadError(frame.announcedLength);
          this.#settle(frame.streamId, new TtrpcError(StatusCode.ResourceExhausted, message));
        }
      },
      closed: (error) => {
        const why = error === undefined ? "" : `: ${error.message}`;
        this.#fail(
          new TtrpcError(StatusCode.Unavailable, `the connection was closed${why}`, [], {
            cause: error,
          }),
        );
      },
    });
  }

  /**
   * Connects to a server's Unix socket.
   *
   * @throws the system's error (ENOENT, ECONNREFUSED, …), or a
   *   {@link TtrpcError} with DeadlineExceeded
   */
  static async connect(path: string, options: ConnectOptions = {}): Promise<TtrpcClient> {
    const socket = connect({ path });
    return await new Promise<TtrpcClient>((resolve, reject) => {
      const { timeoutMilliseconds } = options;
      const timer =
        timeoutMilliseconds === undefined
          ? undefined
          : setTimeout(() => {
              const why = `${path}: no connection within ${timeoutMilliseconds} ms`;
              socket.destroy(new TtrpcError(StatusCode.DeadlineExceeded, why));
            }, timeoutMilliseconds);
      socket.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once("connect", () => {
        clearTimeout(timer);
        // Here and not after an await: the socket is never without a listener.
        socket.removeAllListeners("error");
        resolve(new TtrpcClient(socket));
      });
    });
  }

  /**
   * Calls a method and resolves with the serialized answer.
   *
   * @param service - full name, for instance `containerd.task.v2.Task`
   * @param method - bare name, for instance `Create`
   * @param payload - the serialized request message
   * @throws {@link TtrpcError}: the server's status; DeadlineExceeded when the
   *   time is over; Cancelled by the signal; Unavailable when the connection is
   *   or gets lost; ResourceExhausted for a message over 4 MiB, either way
   */
  call(service: string, method: string, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#closedBecause !== undefined) {
        throw this.#closedBecause;
      }
      if (options.signal?.aborted === true) {
        throw new TtrpcError(StatusCode.Cancelled, "the call was cancelled");
      }
      const streamId = this.#takeStreamId();
      const { timeoutMilliseconds, signal } = options;
      this.#send(streamId, service, method, payload, options);

      const abort = (): void =>
        this.#settle(streamId, new TtrpcError(StatusCode.Cancelled, "the call was cancelled"));
      signal?.addEventListener("abort", abort, { once: true });
      const timer =
        timeoutMilliseconds === undefined || timeoutMilliseconds > MAXIMUM_TIMER_MILLISECONDS
          ? undefined
          : setTimeout(() => {
              const why = `no answer within ${timeoutMilliseconds} ms`;
              this.#settle(streamId, new TtrpcError(StatusCode.DeadlineExceeded, why));
            }, timeoutMilliseconds);

      this.#pending.set(streamId, {
        settle: (outcome) => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          if (outcome instanceof TtrpcError) {
            reject(outcome);
          } else if (outcome.status !== undefined && outcome.status.code !== 0) {
            const { code, message, details } = outcome.status;
            // An unlisted code is kept as it is.
            reject(new TtrpcError(code as StatusCode, message, details));
          } else {
            resolve(outcome.payload);
          }
        },
      });
    });
  }

  /** Closes the connection and rejects what is pending with Unavailable. */
  close(): void {
    this.#fail(new TtrpcError(StatusCode.Unavailable, "the client was closed"));
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#connection.unref();
  }

  #takeStreamId(): number {
    const streamId = this.#nextStreamId;
    if (streamId > LAST_STREAM_ID) {
      throw new TtrpcError(StatusCode.Unavailable, "this connection's stream identifiers are used up");
    }
    this.#nextStreamId += 2;
    return streamId;
  }

  #send(streamId: number, service: string, method: string, payload: Uint8Array, options: CallOptions): void {
    const metadata = new Map<string, string[]>();
    for (const [key, value] of options.metadata ?? []) {
      metadata.set(key, [...(metadata.get(key) ?? []), value]);
    }
    const timeoutNanoseconds = BigInt(Math.max(0, Math.round((options.timeoutMilliseconds ?? 0) * 1e6)));
    const request = encodeRequest({ service, method, payload, timeoutNanoseconds, metadata });
    try {
      this.#connection.send({ streamId, type: FrameType.Request, flags: 0, payload: request });
    } catch (error) {
      if (error instanceof OversizePayloadError) {
        throw new TtrpcError(StatusCode.ResourceExhausted, error.message, [], { cause: error });
      }
      throw error;
    }
  }

  #receive(frame: Frame): void {
    if (frame.type !== FrameType.Response) {
      return;
    }
    try {
      this.#settle(frame.streamId, decodeResponse(frame.payload));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const problem = `malformed response: ${why}`;
      this.#settle(frame.streamId, new TtrpcError(StatusCode.Internal, problem, [], { cause: error }));
    }
  }

  #settle(streamId: number, outcome: Response | TtrpcError): void {
    const pending = this.#pending.get(streamId);
    if (pending !== undefined) {
      this.#pending.delete(streamId);
      pending.settle(outcome);
    }
  }

  #fail(reason: TtrpcError): void {
    if (this.#closedBecause !== undefined) {
      return;
    }
    this.#closedBecause = reason;
    for (const streamId of [...this.#pending.keys()]) {
      this.#settle(streamId, reason);
    }
    this.#resolveClosed(reason);
  }
}
