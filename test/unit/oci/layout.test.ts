import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageError, type ImageErrorCode } from "../../../oci/errors.js";
import { readImageArchive } from "../../../oci/layout-reader.js";
import { writeImageArchive } from "../../../oci/layout-writer.js";
import { check } from "../../harness/command.js";

function sha256(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

describe("image archives", () => {
  let folder: string;
  let layers: string[];
  let archive: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-layout-"));
    layers = [];
    for (const name of ["lower", "upper"]) {
      await writeFile(join(folder, name), `the ${name} file\n`.repeat(10_000));
      layers.push(join(folder, `${name}.tar`));
      await check(["tar", "-C", folder, "-cf", join(folder, `${name}.tar`), name]);
    }
    archive = join(folder, "image.tar");
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  function write(): ReturnType<typeof writeImageArchive> {
    return writeImageArchive(archive, {
      reference: "tine.test/a/b:1.2",
      architecture: "amd64",
      config: { Env: ["A=B"], Cmd: ["/bin/sh"] },
      layers,
    });
  }

  it("hold the layers, their diff ids and the configuration", async () => {
    const descriptor = await write();
    const images = await readImageArchive(archive);
    const diffIds = await Promise.all(layers.map(async (layer) => sha256(await readFile(layer))));
    assert.deepEqual(
      images.map(({ reference, descriptor: { digest }, configuration }) => ({
        reference,
        digest,
        configuration,
      })),
      [
        {
          reference: "tine.test/a/b:1.2",
          digest: descriptor.digest,
          configuration: {
            created: "1970-01-01T00:00:00Z",
            architecture: "amd64",
            os: "linux",
            config: { Env: ["A=B"], Cmd: ["/bin/sh"] },
            rootfs: { type: "layers", diff_ids: diffIds },
            history: [{ created: "1970-01-01T00:00:00Z" }, { created: "1970-01-01T00:00:00Z" }],
          },
        },
      ],
    );
  });

  it("are the same bytes for the same input, and nothing else is left in the folder", async () => {
    await write();
    const first = sha256(await readFile(archive));
    await write();
    assert.equal(sha256(await readFile(archive)), first);
    assert.deepEqual((await readdir(folder)).sort(), [
      "image.tar",
      "lower",
      "lower.tar",
      "upper",
      "upper.tar",
    ]);
  });

  it("leave nothing behind when a layer is missing", async () => {
    layers.push(join(folder, "missing.tar"));
    await assert.rejects(write(), { code: "ENOENT" });
    assert.deepEqual((await readdir(folder)).sort(), ["lower", "lower.tar", "upper", "upper.tar"]);
  });

  it("unpack with tar into a layout whose blobs are named after what they hold", async () => {
    await write();
    await check(["tar", "-C", folder, "-xf", archive]);
    assert.equal(await readFile(join(folder, "oci-layout"), "utf8"), '{"imageLayoutVersion":"1.0.0"}');
    for (const name of await readdir(join(folder, "blobs/sha256"))) {
      assert.equal(sha256(await readFile(join(folder, "blobs/sha256", name))), `sha256:${name}`);
    }
  });

  /** Unpacks the archive, lets a script change the layout, packs it again. */
  async function changed(script: string): Promise<void> {
    await write();
    const layout = join(folder, "layout");
    const change = `mkdir ${layout} && cd ${layout} && tar -xf ../image.tar && (${script}) && tar -cf ../image.tar *`;
    await check(["sh", "-euc", change]);
  }

  const manifest = "$(grep -o 'sha256:[0-9a-f]*' index.json | head -n 1 | cut -d: -f2)";
  const damages: [what: string, script: string, code: ImageErrorCode][] = [
    ["no oci-layout", "rm oci-layout", "not-a-layout"],
    ["another version", `echo '{"imageLayoutVersion":"2.0.0"}' > oci-layout`, "not-a-layout"],
    ["no index", "rm index.json", "not-a-layout"],
    ["an index that is not JSON", "echo '{' > index.json", "malformed-json"],
    ["an index without manifests", "echo '{}' > index.json", "not-a-layout"],
    ["a missing manifest", `rm blobs/sha256/${manifest}`, "missing-blob"],
    ["a changed manifest", `echo ' ' >> blobs/sha256/${manifest}`, "digest-mismatch"],
    ["a missing layer", "rm $(ls -S blobs/sha256/* | head -n 1)", "missing-blob"],
    ["a changed layer", "printf x >> $(ls -S blobs/sha256/* | head -n 1)", "digest-mismatch"],
    ["a wrong size", 'sed -i \'s/"size":/"size":1/\' index.json', "size-mismatch"],
    [
      "a foreign media type",
      "sed -i 's/image.manifest.v1/image.index.v1/' index.json",
      "unsupported-media-type",
    ],
  ];

  for (const [what, script, code] of damages) {
    it(`are refused with ${what}: ${code}`, async () => {
      await changed(script);
      await assert.rejects(
        readImageArchive(archive),
        (error) => error instanceof ImageError && error.code === code,
      );
    });
  }

  it("are refused when they are no tar", async () => {
    await writeFile(archive, "x".repeat(2048));
    await assert.rejects(
      readImageArchive(archive),
      (error) => error instanceof ImageError && error.code === "not-a-layout",
    );
  });
});
