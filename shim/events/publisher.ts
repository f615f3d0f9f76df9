import { create, toBinary } from "@bufbuild/protobuf";
import { setTimeout as delay } from "node:timers/promises";
import { TtrpcClient } from "../ttrpc/index.js";
import { messageOf } from "../../runtime/errors.js";
import { Events, ForwardRequestSchema } from "../proto/gen/forward_pb.js";
import { timestamp } from "../timestamps.js";
import type { EventMessage } from "./messages.js";

const CALL_LIMIT = 5000;
const TRIES = 5;
const FIRST_PAUSE = 1000;

/** Where events go, and with what patience. */
export interface PublisherOptions {
  /** Path of containerd's ttrpc socket; empty when there is nobody to tell. */
  readonly address: string;
  readonly namespace: string;
  /** Told of events that are given up. */
  readonly report: (line: string) => void;
  /** Pause after the first failed try, milliseconds; each further one is that much longer. */
  readonly firstPauseMilliseconds?: number;
}

/** What becomes of an event whose hearing is uncertain. */
export interface Telling {
  /**
   * Whether its hearers have acted on it meanwhile, so that it must have been heard: after a connection that broke
   * before the answer it is not told again then. Some take each telling for an event of its own.
   */
  readonly known?: () => boolean;
}

/**
 * Sends events to containerd, one at a time: it serves calls concurrently, so
 * only an answered one is sure to come before the next.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #client: TtrpcClient | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Queues an event; its time is now. */
  publish(event: EventMessage, { known = () => false }: Telling = {}): void {
    if (this.#options.address === "") {
      return;
    }
    const { topic, typeUrl, value } = event;
    const { namespace } = this.#options;
    const envelope = { timestamp: timestamp(Date.now()), namespace, topic, event: { typeUrl, value } };
    const payload = toBinary(ForwardRequestSchema, create(ForwardRequestSchema, { envelope }));
    this.#last = this.#last.then(() => this.#send(topic, payload, known));
  }

  /** Resolves when everything queued so far was taken, or given up. */
  async flushed(): Promise<void> {
    await this.#last;
  }

  /** Closes the connection. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  async #send(topic: string, payload: Uint8Array, known: () => boolean): Promise<void> {
    let perhapsHeard = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const client = await this.#connected();
        if (perhapsHeard && known()) return;
        perhapsHeard = true;
        await client.call(Events.typeName, Events.method.forward.name, payload, {
          timeoutMilliseconds: CALL_LIMIT,
        });
        return;
      } catch (error) {
        this.close();
        if (attempt === TRIES) {
          this.#options.report(`event ${topic} is given up: ${messageOf(error)}`);
          return;
        }
        await delay(attempt * (this.#options.firstPauseMilliseconds ?? FIRST_PAUSE));
      }
    }
  }

  async #connected(): Promise<TtrpcClient> {
    if (this.#client === undefined) {
      const client = await TtrpcClient.connect(this.#options.address, { timeoutMilliseconds: CALL_LIMIT });
      this.#client = client;
      // containerd may restart; the next event then goes to its successor.
      void client.closed.then(() => {
        if (this.#client === client) {
          this.#client = undefined;
        }
      });
    }
    return this.#client;
  }
}
