import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";

/**
 * A folder below a parent that this process alone uses until it releases it or ends: the first of `0`, `1`,
 * `2`… that nobody has claimed. The claim is an abstract socket, which the kernel drops with its owner.
 */
export class ClaimedFolder {
  private constructor(
    readonly path: string,
    private readonly claim: Server,
  ) {}

  static async claim(parent: string): Promise<ClaimedFolder> {
    for (let number = 0; ; number += 1) {
      const path = join(parent, String(number));
      const name = `\0tine-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`;
      const claim = await listen(name);
      if (claim === undefined) continue;
      await mkdir(path, { recursive: true });
      return new ClaimedFolder(path, claim);
    }
  }

  release(): void {
    this.claim.close();
  }
}

/** A server at the abstract address, or undefined when somebody else has it. */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}
