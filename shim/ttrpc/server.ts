import { createServer, type Server as NetServer, type Socket } from "node:net";
import { FrameType, OversizePayloadError, type Frame } from "./codec.js";
import { Connection } from "./connection.js";
import { decodeRequest, encodeResponse, type Metadata, type Request, type Response } from "./envelope.js";
import { StatusCode, statusOf, TtrpcError, type Status } from "./status.js";

/** What a handler knows of the call besides its payload. */
export interface CallContext {
  readonly metadata: Metadata;
  /** How long the caller will wait, in nanoseconds; 0 means without limit. */
  readonly timeoutNanoseconds: bigint;
  /** Aborted when the caller's time is over, its connection is lost, or the server closes. */
  readonly signal: AbortSignal;
}

/**
 * Serves one method: takes and returns serialized messages. Throw a
 * {@link TtrpcError} to answer with its code; anything else thrown answers
 * {@link StatusCode.Unknown} with the error's message.
 */
export type Handler = (payload: Uint8Array, context: CallContext) => Uint8Array | Promise<Uint8Array>;

/** Where to listen: a path, or a descriptor of a socket that listens already. */
export type ListenTarget = string | { readonly fd: number };

/** How a server is to behave. */
export interface ServerOptions {
  /** Told of what no caller can be told: broken connections and a failing accept. */
  readonly report?: (error: Error) => void;
}

/** Unsent bytes on one connection above which no more requests are read from it. */
const PAUSE_ABOVE_BYTES = 8 * 1024 * 1024;

/** setTimeout's largest delay; a longer time-out is as good as none. */
const MAXIMUM_TIMER_MILLISECONDS = 0x7fffffff;

const EMPTY = new Uint8Array(0);

/**
 * Serves registered methods over a Unix socket. Calls run concurrently and are
 * answered as they finish, in any order. No handler's failure reaches another
 * call, the connection or the process.
 */
export class TtrpcServer {
  readonly #services = new Map<string, ReadonlyMap<string, Handler>>();
  readonly #listeners = new Set<NetServer>();
  readonly #connections = new Set<ServerConnection>();
  readonly #report: (error: Error) => void;
  #closed = false;

  constructor(options: ServerOptions = {}) {
    this.#report = options.report ?? (() => undefined);
  }

  /**
   * Adds a service.
   *
   * @param service - full name, for instance `containerd.task.v2.Task`
   * @param methods - handlers by bare method name
   * @throws Error when the service is registered already
   */
  register(service: string, methods: Readonly<Record<string, Handler>>): void {
    if (this.#services.has(service)) {
      throw new Error(`service ${service} is registered already`);
    }
    this.#services.set(service, new Map(Object.entries(methods)));
  }

  /**
   * Starts to accept connections; may be called for more than one target.
   * A socket made from a path gets mode 0600 and is removed by {@link close};
   * one given as a descriptor keeps its name.
   *
   * @throws the system's error, for instance EADDRINUSE
   */
  async listen(target: ListenTarget): Promise<void> {
    if (this.#closed) {
      throw new Error("the server is closed");
    }
    const listener = createServer({ allowHalfOpen: false }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      const listening = (): void => {
        listener.off("error", reject);
        resolve();
      };
      if (typeof target === "string") {
        // bind() happens inside this call: with the mask set around it, there
        // is no moment at which others could connect.
        const previous = process.umask(0o177);
        try {
          listener.listen(target, listening);
        } finally {
          process.umask(previous);
        }
      } else {
        listener.listen({ fd: target.fd }, listening);
      }
    });
    listener.on("error", (error) => this.#report(error));
    this.#listeners.add(listener);
  }

  /** Connections that are open now. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops listening, aborts the running calls' signals, sends what was
   * answered, and closes every connection. Handlers still running go on; their
   * answers go nowhere. A handler may call this and be answered, provided that
   * it returns without waiting for anything else.
   */
  async close(): Promise<void> {
    this.#closed = true;
    const listeners = [...this.#listeners].map(
      (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
    );
    this.#listeners.clear();
    // What has been decided in this turn of the event loop is answered yet.
    await new Promise((resolve) => setImmediate(resolve));
    for (const connection of this.#connections) {
      connection.close();
    }
    await Promise.all(listeners);
  }

  #accept(socket: Socket): void {
    const connection = new ServerConnection(socket, this.#services, (error) => {
      this.#connections.delete(connection);
      if (error !== undefined) {
        this.#report(error);
      }
    });
    this.#connections.add(connection);
  }
}

/** One client's connection: its calls under way, and the rules of stream identifiers. */
class ServerConnection {
  readonly #connection: Connection;
  readonly #services: ReadonlyMap<string, ReadonlyMap<string, Handler>>;
  readonly #calls = new Set<AbortController>();
  #lastStreamId = 0;

  constructor(
    socket: Socket,
    services: ReadonlyMap<string, ReadonlyMap<string, Handler>>,
    closed: (error: Error | undefined) => void,
  ) {
    this.#services = services;
    this.#connection = new Connection(
      socket,
      {
        frame: (frame) => this.#receive(frame),
        oversize: (frame) => {
          if (frame.type === FrameType.Request && this.#openStream(frame.streamId)) {
            const problem = new OversizePayloadError(frame.announcedLength);
            this.#refuse(frame.streamId, StatusCode.ResourceExhausted, problem.message);
          }
        },
        closed: (error) => {
          this.#abortCalls(new TtrpcError(StatusCode.Cancelled, "the connection was closed"));
          closed(error);
        },
      },
      { pauseAboveBytes: PAUSE_ABOVE_BYTES },
    );
  }

  close(): void {
    this.#abortCalls(new TtrpcError(StatusCode.Unavailable, "the server is closing"));
    this.#connection.close();
  }

  #abortCalls(reason: TtrpcError): void {
    for (const call of this.#calls) {
      call.abort(reason);
    }
    this.#calls.clear();
  }

  #receive(frame: Frame): void {
    // Other types belong to streaming or to later versions, and are to be ignored.
    if (frame.type !== FrameType.Request || !this.#openStream(frame.streamId)) {
      return;
    }
    let request: Request;
    try {
      request = decodeRequest(frame.payload);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#refuse(frame.streamId, StatusCode.InvalidArgument, `malformed request: ${why}`);
      return;
    }
    const handler = this.#services.get(request.service)?.get(request.method);
    if (handler === undefined) {
      const what = this.#services.has(request.service)
        ? `method ${request.method} of service ${request.service}`
        : `service ${request.service}`;
      this.#refuse(frame.streamId, StatusCode.Unimplemented, `${what} is not implemented`);
      return;
    }
    // Never rejects: everything a handler can do wrong is caught inside.
    void this.#serve(frame.streamId, request, handler);
  }

  #openStream(streamId: number): boolean {
    if (streamId % 2 !== 1) {
      const why = `stream ${streamId}: a client's stream identifiers are odd`;
      this.#refuse(streamId, StatusCode.InvalidArgument, why);
      return false;
    }
    if (streamId <= this.#lastStreamId) {
      const why = `stream ${streamId}: identifiers have to increase, and ${this.#lastStreamId} was used`;
      this.#refuse(streamId, StatusCode.InvalidArgument, why);
      return false;
    }
    this.#lastStreamId = streamId;
    return true;
  }

  async #serve(streamId: number, request: Request, handler: Handler): Promise<void> {
    const call = new AbortController();
    this.#calls.add(call);
    const stopTimer = this.#startTimer(streamId, request.timeoutNanoseconds, call);
    let response: Response;
    try {
      const payload = await handler(request.payload, {
        metadata: request.metadata,
        timeoutNanoseconds: request.timeoutNanoseconds,
        signal: call.signal,
      });
      response = { payload };
    } catch (thrown) {
      response = { status: statusOf(thrown), payload: EMPTY };
    }
    stopTimer();
    // Out of the set: the time-out answered, or there is nobody to answer.
    if (this.#calls.delete(call)) {
      this.#answer(streamId, response);
    }
  }

  #startTimer(streamId: number, timeoutNanoseconds: bigint, call: AbortController): () => void {
    const milliseconds = Number(timeoutNanoseconds) / 1e6;
    if (milliseconds <= 0 || milliseconds > MAXIMUM_TIMER_MILLISECONDS) {
      return () => undefined;
    }
    const timer = setTimeout(() => {
      const error = new TtrpcError(StatusCode.DeadlineExceeded, "the call's time is over");
      this.#calls.delete(call);
      call.abort(error);
      this.#answer(streamId, { status: statusOf(error), payload: EMPTY });
    }, milliseconds);
    return () => clearTimeout(timer);
  }

  #refuse(streamId: number, code: StatusCode, message: string): void {
    const status: Status = { code, message, details: [] };
    this.#answer(streamId, { status, payload: EMPTY });
  }

  #answer(streamId: number, response: Response): void {
    const send = (answer: Response): void => {
      const payload = encodeResponse(answer);
      this.#connection.send({ streamId, type: FrameType.Response, flags: 0, payload });
    };
    try {
      send(response);
    } catch (error) {
      if (!(error instanceof OversizePayloadError)) {
        throw error;
      }
      const code = StatusCode.ResourceExhausted;
      send({ status: { code, message: error.message, details: [] }, payload: EMPTY });
    }
  }
}
