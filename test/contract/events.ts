import { createRegistry, fromBinary, type Message } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { typeNameOf } from "../../shim/proto/any.js";
import { file_events } from "../../shim/proto/gen/events_pb.js";
import { Events } from "../../shim/proto/gen/forward_pb.js";
import { serviceHandlers } from "../../shim/proto/service.js";
import { StatusCode, TtrpcError, TtrpcServer } from "../../shim/ttrpc/index.js";

/** One event as it was forwarded. */
export interface RecordedEvent {
  readonly topic: string;
  readonly namespace: string;
  /** The type URL as it stands, prefix or none. */
  readonly typeUrl: string;
  readonly timestamp: Date | undefined;
  readonly event: Message & { readonly containerId?: string };
}

const registry = createRegistry(file_events);

/** containerd's end of the event service: keeps what shims forward, in the order it comes. */
export class EventRecorder {
  readonly all: RecordedEvent[] = [];
  /** Answer the next this many calls with Unavailable, as a containerd that is busy starting. */
  refuse = 0;
  readonly #server = new TtrpcServer();
  readonly #waiting = new Set<() => void>();

  private constructor() {
    this.#server.register(
      Events.typeName,
      serviceHandlers(Events, {
        forward: ({ envelope }) => {
          if (this.refuse > 0) {
            this.refuse -= 1;
            throw new TtrpcError(StatusCode.Unavailable, "not yet");
          }
          if (envelope?.event === undefined) {
            throw new TtrpcError(StatusCode.InvalidArgument, "an envelope without an event");
          }
          const schema = registry.getMessage(typeNameOf(envelope.event));
          if (schema === undefined) {
            throw new TtrpcError(StatusCode.InvalidArgument, `${envelope.event.typeUrl} is no event`);
          }
          this.all.push({
            topic: envelope.topic,
            namespace: envelope.namespace,
            typeUrl: envelope.event.typeUrl,
            timestamp: envelope.timestamp === undefined ? undefined : timestampDate(envelope.timestamp),
            event: fromBinary(schema, envelope.event.value),
          });
          this.#waiting.forEach((wake) => wake());
          return {};
        },
      }),
    );
  }

  static async listen(path: string): Promise<EventRecorder> {
    const recorder = new EventRecorder();
    await recorder.#server.listen(path);
    return recorder;
  }

  /** The events of one container. */
  of(containerId: string): RecordedEvent[] {
    return this.all.filter(({ event }) => event.containerId === containerId);
  }

  /** Waits until a container has had events of this topic, `count` of them. */
  async until(containerId: string, topic: string, count = 1, limitMilliseconds = 60_000): Promise<void> {
    const deadline = performance.now() + limitMilliseconds;
    while (this.of(containerId).filter((event) => event.topic === topic).length < count) {
      const left = deadline - performance.now();
      if (left <= 0) {
        const seen = this.of(containerId).map((event) => event.topic);
        throw new Error(`${containerId}: no ${topic}; there were ${seen.join(", ") || "no events"}`);
      }
      await this.#next(left);
    }
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #next(limitMilliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, limitMilliseconds);
      this.#waiting.add(done);
    });
  }
}
