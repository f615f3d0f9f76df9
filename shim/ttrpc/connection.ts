import type { Socket } from "node:net";
import { encodeFrame, FrameDecoder, type Frame, type OversizeFrame } from "./codec.js";

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** A whole frame arrived. */
  frame(frame: Frame): void;
  /** A frame over the size limit was announced; its payload is being discarded. */
  oversize(frame: OversizeFrame): void;
  /**
   * The connection is gone; called once, last. `error` says why, unless the
   * other side closed it between two frames or we did.
   */
  closed(error: Error | undefined): void;
}

/** How a connection is to behave. */
export interface ConnectionOptions {
  /**
   * Stop reading while this many unsent bytes wait, and go on when they are
   * gone: a peer that asks without reading answers then waits, instead of
   * filling our memory. For servers only, for two peers that both did it could
   * wait for each other.
   */
  readonly pauseAboveBytes?: number;
}

/** Frames over one socket: the only place that touches it. */
export class Connection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #events: ConnectionEvents;
  readonly #pauseAboveBytes: number;
  #error: Error | undefined;
  #closing = false;

  constructor(socket: Socket, events: ConnectionEvents, options: ConnectionOptions = {}) {
    this.#socket = socket;
    this.#events = events;
    this.#pauseAboveBytes = options.pauseAboveBytes ?? Number.POSITIVE_INFINITY;
    socket.on("data", (piece: Buffer) => {
      this.#receive(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
    });
    socket.on("drain", () => socket.resume());
    socket.on("end", () => this.#receiveEnd());
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("close", () => {
      const wasAsked = this.#closing;
      this.#closing = true;
      events.closed(wasAsked ? undefined : this.#error);
    });
  }

  /** Whether a frame can still be sent. */
  get open(): boolean {
    return !this.#closing && this.#socket.writable;
  }

  /**
   * Queues a frame; on a closed connection it goes nowhere.
   *
   * @throws OversizePayloadError when the payload is over the limit; nothing is sent then
   */
  send(frame: Frame): void {
    const bytes = encodeFrame(frame);
    if (!this.open) {
      return;
    }
    this.#socket.write(bytes);
    if (this.#socket.writableLength > this.#pauseAboveBytes) {
      this.#socket.pause();
    }
  }

  /**
   * Closes after what is queued has been sent, or after `lingerMilliseconds`
   * with a peer that does not read. Nothing is received any more.
   */
  close(lingerMilliseconds = 1000): void {
    if (this.#closing) {
      return;
    }
    this.#closing = true;
    const timer = setTimeout(() => this.#socket.destroy(), lingerMilliseconds);
    this.#socket.once("close", () => clearTimeout(timer));
    this.#socket.destroySoon();
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  #receive(piece: Uint8Array): void {
    for (const decoded of this.#decoder.push(piece)) {
      if (this.#closing) {
        return;
      }
      if (decoded.kind === "frame") {
        this.#events.frame(decoded.frame);
      } else {
        this.#events.oversize(decoded.frame);
      }
    }
  }

  #receiveEnd(): void {
    if (this.#decoder.partial) {
      this.#error ??= new Error("the connection ended inside a frame");
    }
  }
}
