import { rename, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * What becomes of a container's end that a shim tells containerd. `passes`: it is heard. `lost`: the connection ends
 * before containerd has heard it. `repeated`: containerd hears it, and the shim does not learn that it did, so
 * that it tells it again. `fatal`: containerd is ended the moment it has heard it, before the shim learns that.
 */
export type Manner = "passes" | "lost" | "repeated" | "fatal";

const exitTopic = Buffer.from("/tasks/exit");
/** A ttrpc frame: its length is the header's first four bytes. */
const headerBytes = 10;

/** Stands where shims look for containerd's ears, and passes on what they say, or not. */
export class EventGate {
  /** What becomes of the next end that is told. */
  manner: Manner = "passes";
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly path: string,
    private readonly server: Server,
    private readonly endListener: () => void,
  ) {
    server.on("connection", (shim) => {
      this.join(shim);
    });
  }

  /**
   * Takes the place of a listening socket, which goes on listening under another name.
   *
   * @param endListener what `fatal` does
   */
  static async open(path: string, endListener: () => void): Promise<EventGate> {
    const gate = new EventGate(path, createServer(), endListener);
    // Made under a third name: closed, a server removes the name that it was made under.
    const made = `${path}.gate`;
    await new Promise<void>((resolve, reject) => {
      gate.server.once("error", reject);
      gate.server.listen(made, resolve);
    });
    await rename(path, gate.behind);
    await rename(made, path);
    return gate;
  }

  private get behind(): string {
    return `${this.path}.behind`;
  }

  /**
   * Goes away.
   *
   * @param replaced whether the listener has been started anew meanwhile, and taken its place itself
   */
  async close(replaced: boolean): Promise<void> {
    if (replaced) await rm(this.behind, { force: true });
    else await rename(this.behind, this.path);
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private join(shim: Socket): void {
    const listener = connect(this.behind);
    const both = [shim, listener];
    const part = (): void => {
      for (const socket of both) socket.destroy();
    };
    for (const socket of both) {
      this.sockets.add(socket);
      socket.on("error", part);
      socket.on("close", () => {
        this.sockets.delete(socket);
        part();
      });
    }
    let answer: "passes" | "is dropped" | "ends the listener" = "passes";
    let pending = Buffer.alloc(0);
    shim.on("data", (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        if (pending.length < headerBytes) return;
        const end = headerBytes + pending.readUInt32BE(0);
        if (pending.length < end) return;
        const frame = pending.subarray(0, end);
        pending = pending.subarray(end);
        if (frame.includes(exitTopic)) {
          if (this.manner === "lost") {
            part();
            return;
          }
          if (this.manner === "repeated") answer = "is dropped";
          if (this.manner === "fatal") answer = "ends the listener";
        }
        listener.write(frame);
      }
    });
    listener.on("data", (chunk) => {
      if (answer === "passes") {
        shim.write(chunk);
        return;
      }
      if (answer === "ends the listener") this.endListener();
      part();
    });
  }
}
