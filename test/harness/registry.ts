import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { extract } from "tar-stream";
import type { TestImage } from "./image.js";

interface Blob {
  readonly type: string;
  readonly content: Buffer;
}

/** A registry of one image on a loopback port, for clients that pull what they run. */
export class Registry implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    /** What `pull` wants. */
    readonly reference: string,
  ) {}

  /** @param image an archive of one image; all of it is kept in memory */
  static async serve(image: TestImage): Promise<Registry> {
    const files = new Map<string, Buffer>();
    const archive = createReadStream(image.archive).pipe(extract());
    for await (const entry of archive) files.set(entry.header.name, await read(entry));
    const index = JSON.parse(String(files.get("index.json"))) as {
      manifests: { digest: string; mediaType: string }[];
    };
    const [top] = index.manifests;
    if (top === undefined) throw new Error(`${image.archive}: no image`);
    const blobs = new Map<string, Blob>();
    for (const content of files.values()) {
      const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
      const type = digest === top.digest ? top.mediaType : "application/octet-stream";
      blobs.set(digest, { type, content });
    }
    const server = createServer(({ method, url = "" }, response) => {
      const [, kind, name = ""] = /^\/v2\/image\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
      const digest = kind === "manifests" && name === "latest" ? top.digest : name;
      const blob = blobs.get(digest);
      if (blob === undefined) {
        response.writeHead(404).end();
        return;
      }
      const { type, content } = blob;
      response.writeHead(200, {
        "Content-Type": type,
        "Content-Length": content.length,
        "Docker-Content-Digest": digest,
      });
      response.end(method === "HEAD" ? undefined : content);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return new Registry(server, `localhost:${port}/image:latest`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function read(entry: AsyncIterable<unknown>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of entry) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
