import { closeSync, unlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { addon } from "../../native/addon/addon.js";
import { messageOf, systemCodeOf } from "../../runtime/errors.js";
import { metricsText, metricsType, type Metric } from "./text.js";

/** Milliseconds after which a daemon that found the address taken looks again. */
const patience = 5_000;

/** Serves metrics at an address that all daemons of the machine share: one of them has it at a time. */
export class MetricsServer {
  readonly #address: string;
  readonly #server: Server;
  readonly #report: (line: string) => void;
  #closed = false;
  #listening = false;
  #lock: number | undefined;

  /**
   * @param address - a unix socket's path, or ADDRESS:PORT
   * @param collect - measures
   * @param report - is told what goes wrong
   */
  constructor(address: string, collect: () => Promise<readonly Metric[]>, report: (line: string) => void) {
    this.#address = address;
    this.#report = report;
    this.#server = createServer((request, response) => {
      if (request.url !== "/metrics" && request.url !== "/") {
        response.writeHead(404, { "content-type": "text/plain" }).end("see /metrics\n");
        return;
      }
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.writeHead(405, { allow: "GET, HEAD" }).end();
        return;
      }
      collect().then(
        (metrics) => response.writeHead(200, { "content-type": metricsType }).end(metricsText(metrics)),
        (error: unknown) => {
          report(`metrics: ${messageOf(error)}`);
          response.writeHead(500, { "content-type": "text/plain" }).end(`${messageOf(error)}\n`);
        },
      );
    });
    // Nobody waits for a scraper that keeps its connection.
    this.#server.unref();
  }

  /** Takes the address as soon as it is free, and keeps it until {@link close}. */
  async serve(): Promise<void> {
    while (!this.#closed) {
      try {
        if (await this.#listen()) return;
      } catch (error) {
        this.#report(
          `metrics at ${this.#address}: ${messageOf(error)}; shim.metrics of tine.toml says where`,
        );
        return;
      }
      await sleep(patience, undefined, { ref: false });
    }
  }

  /** Frees the address. */
  close(): void {
    this.#closed = true;
    if (this.#listening) {
      this.#listening = false;
      // This unlinks the socket: nobody else may have taken its name yet.
      this.#server.close();
      this.#server.closeAllConnections();
    }
    this.#unlock();
  }

  #unlock(): void {
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }

  /** False when somebody else has it. */
  async #listen(): Promise<boolean> {
    // Two daemons that find the same dead socket: the second would unlink the one that the first has just made.
    if (this.#address.startsWith("/")) {
      this.#lock = addon.lockFile(`${this.#address}.lock`);
      if (this.#lock === undefined) return false;
    }
    try {
      this.#listening = await this.#bind();
    } finally {
      if (!this.#listening) this.#unlock();
    }
    if (this.#closed) this.close();
    return this.#listening;
  }

  /** False when the address is in use. */
  async #bind(): Promise<boolean> {
    const isPath = this.#address.startsWith("/");
    // A socket whose daemon was killed is still there.
    if (isPath && (await isAbandoned(this.#address))) unlinkSync(this.#address);
    const { host, port } = parsed(this.#address);
    const taken = await new Promise<boolean>((resolve, reject) => {
      this.#server.once("error", (error) => {
        if (systemCodeOf(error) === "EADDRINUSE") resolve(true);
        else reject(error);
      });
      const listening = (): void => resolve(false);
      // Whoever may read the figures of all containers: root alone.
      const before = process.umask(0o177);
      try {
        if (isPath) this.#server.listen(this.#address, listening);
        else this.#server.listen(port, host, listening);
      } finally {
        process.umask(before);
      }
    });
    this.#server.removeAllListeners("error");
    return !taken;
  }
}

/** `127.0.0.1:9100` and `[::1]:9100` taken apart. */
function parsed(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}

function isAbandoned(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error) => resolve(systemCodeOf(error) === "ECONNREFUSED"));
  });
}
