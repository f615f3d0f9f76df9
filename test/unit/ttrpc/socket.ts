import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  decodeResponse,
  encodeFrame,
  encodeRequest,
  FrameDecoder,
  FrameType,
  type Request,
  type Response,
} from "../../../shim/ttrpc/index.js";

/** A folder for one test's sockets. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "tine-ttrpc-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** A request with everything but the given at its default. */
export function requestOf(parts: Partial<Request>): Request {
  return {
    service: "test.Echo",
    method: "Echo",
    payload: new Uint8Array(0),
    timeoutNanoseconds: 0n,
    metadata: new Map(),
    ...parts,
  };
}

/** A client that sends any bytes, for what ours never would. */
export class RawClient {
  readonly #decoder = new FrameDecoder();
  readonly #responses: { streamId: number; response: Response }[] = [];
  #wake: () => void = () => undefined;
  ended = false;

  private constructor(readonly socket: Socket) {
    socket.on("data", (piece: Buffer) => {
      for (const decoded of this.#decoder.push(new Uint8Array(piece))) {
        if (decoded.kind === "frame" && decoded.frame.type === FrameType.Response) {
          const { streamId, payload } = decoded.frame;
          this.#responses.push({ streamId, response: decodeResponse(payload) });
        }
      }
      this.#wake();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.ended = true;
      this.#wake();
    });
  }

  static connect(path: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RawClient(socket)));
    });
  }

  sendRequest(streamId: number, request: Request): void {
    this.send(encodeFrame({ streamId, type: FrameType.Request, flags: 0, payload: encodeRequest(request) }));
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next `count` answers in the order they came. */
  async responses(count: number): Promise<{ streamId: number; response: Response }[]> {
    while (this.#responses.length < count) {
      if (this.ended) {
        throw new Error(`the connection ended after ${this.#responses.length} of ${count} answers`);
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#responses.splice(0, count);
  }

  close(): void {
    this.socket.destroy();
  }
}
