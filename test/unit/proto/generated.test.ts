import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { check } from "../../harness/command.js";
import { repository } from "../../harness/paths.js";

/** Every file of a folder by its name. */
async function contents(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const)),
  );
}

describe("shim/proto/gen", () => {
  it("is what the .proto files generate", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "tine-proto-"));
    try {
      const source = join(repository, "shim/proto");
      const protos = (await readdir(source)).filter((name) => /\.(proto|yaml)$/.test(name));
      await Promise.all(protos.map((name) => cp(join(source, name), join(scratch, name))));
      const tools = join(repository, "node_modules/.bin");
      await check([join(tools, "buf"), "generate"], {
        directory: scratch,
        environment: { ...process.env, PATH: `${tools}${delimiter}${process.env["PATH"] ?? ""}` },
      });
      assert.deepEqual(await contents(join(source, "gen")), await contents(join(scratch, "gen")));
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
});
