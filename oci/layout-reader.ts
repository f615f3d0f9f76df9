import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract } from "tar-stream";
import { ImageError } from "./errors.js";
import {
  mediaTypes,
  type Descriptor,
  type Digest,
  type ImageConfiguration,
  type ImageIndex,
  type ImageManifest,
} from "./image.js";
import { blobPath } from "./layout-writer.js";

/** JSON blobs above this many bytes are refused: the distribution spec's limit on manifests. */
const largestJson = 4 << 20;

/** One image of an archive. */
export interface ReadImage {
  /** The name that `ctr images import` gives it, when the archive tells. */
  reference?: string;
  descriptor: Descriptor;
  manifest: ImageManifest;
  configuration: ImageConfiguration;
}

interface ReadBlob {
  size: number;
  digest: Digest;
  /** The digest of what a gzip blob holds; undefined for others. */
  uncompressed?: Digest;
  /** Kept when small enough to be JSON that is read here. */
  content?: Buffer;
}

/**
 * Reads an OCI layout from a tar file and checks all of it: the digest and size of every blob a manifest
 * names, and each layer's diff id.
 *
 * @throws {ImageError} when the archive is not a layout, lacks a blob, or a blob is not what its digest says.
 * @see image-spec, image-layout.md
 */
export async function readImageArchive(path: string): Promise<ReadImage[]> {
  const entries = await readEntries(path);
  const layout = jsonOf(entries, "oci-layout") as { imageLayoutVersion?: unknown };
  if (layout.imageLayoutVersion !== "1.0.0") {
    throw new ImageError(
      "not-a-layout",
      `oci-layout: imageLayoutVersion is ${JSON.stringify(layout.imageLayoutVersion)}`,
    );
  }
  const index = jsonOf(entries, "index.json") as ImageIndex;
  if (!Array.isArray(index.manifests)) throw new ImageError("not-a-layout", "index.json: no manifests");
  return index.manifests.map((descriptor) => readImage(entries, descriptor));
}

function readImage(entries: Map<string, ReadBlob>, descriptor: Descriptor): ReadImage {
  if (descriptor.mediaType !== mediaTypes.manifest) {
    throw new ImageError("unsupported-media-type", `index.json: a manifest of type ${descriptor.mediaType}`);
  }
  checkBlob(entries, descriptor);
  const manifest = jsonOf(entries, blobPath(descriptor.digest)) as ImageManifest;
  checkBlob(entries, manifest.config);
  const configuration = jsonOf(entries, blobPath(manifest.config.digest)) as ImageConfiguration;
  const diffIds = configuration.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length) {
    throw new ImageError(
      "digest-mismatch",
      `${manifest.layers.length} layers, but ${diffIds.length} diff ids`,
    );
  }
  for (const [position, layer] of manifest.layers.entries()) {
    const blob = checkBlob(entries, layer);
    const content = layer.mediaType === mediaTypes.layer ? blob.digest : blob.uncompressed;
    if (content !== diffIds[position]) {
      throw new ImageError(
        "digest-mismatch",
        `layer ${position} holds ${content}, its diff id says ${diffIds[position]}`,
      );
    }
  }
  const reference = descriptor.annotations?.["io.containerd.image.name"];
  return { ...(reference === undefined ? {} : { reference }), descriptor, manifest, configuration };
}

function checkBlob(entries: Map<string, ReadBlob>, descriptor: Descriptor): ReadBlob {
  const blob = entries.get(blobPath(descriptor.digest));
  if (blob === undefined) throw new ImageError("missing-blob", `${descriptor.digest} is not in the archive`);
  if (blob.digest !== descriptor.digest) {
    throw new ImageError("digest-mismatch", `${blobPath(descriptor.digest)} holds ${blob.digest}`);
  }
  if (blob.size !== descriptor.size) {
    throw new ImageError(
      "size-mismatch",
      `${descriptor.digest} has ${blob.size} bytes, not ${descriptor.size}`,
    );
  }
  return blob;
}

function jsonOf(entries: Map<string, ReadBlob>, name: string): object {
  const blob = entries.get(name);
  if (blob === undefined) throw new ImageError("not-a-layout", `${name} is missing`);
  if (blob.content === undefined) throw new ImageError("too-large", `${name} has ${blob.size} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(blob.content.toString("utf8"));
  } catch (error) {
    throw new ImageError("malformed-json", `${name}: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null)
    throw new ImageError("malformed-json", `${name}: not an object`);
  return value;
}

async function readEntries(path: string): Promise<Map<string, ReadBlob>> {
  const entries = new Map<string, ReadBlob>();
  const archive = extract();
  const read = (async () => {
    for await (const entry of archive) {
      const { header } = entry;
      if (header.type === "file")
        entries.set(header.name.replace(/^\.\//, ""), await readBlob(entry, header.size));
      else entry.resume();
    }
  })();
  try {
    await Promise.all([pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), archive), read]);
  } catch (error) {
    if (error instanceof ImageError || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new ImageError("not-a-layout", `${path}: ${(error as Error).message}`);
  }
  return entries;
}

async function readBlob(entry: AsyncIterable<unknown>, size: number): Promise<ReadBlob> {
  const raw = createHash("sha256");
  const kept: Buffer[] | undefined = size <= largestJson ? [] : undefined;
  const inner = createHash("sha256");
  const gunzip = createGunzip();
  let gzip: boolean | undefined;
  const unpacked = (async () => {
    for await (const chunk of gunzip) inner.update(chunk as Buffer);
  })();
  // A broken gzip stream is reported where the layer is checked: its digest will not be the diff id.
  const unpackedOrBroken = unpacked.then(
    () => true,
    () => false,
  );
  for await (const piece of entry) {
    const chunk = piece as Buffer;
    gzip ??= chunk[0] === 0x1f && chunk[1] === 0x8b;
    raw.update(chunk);
    kept?.push(chunk);
    if (gzip && !gunzip.destroyed && !gunzip.write(chunk)) {
      await Promise.race([new Promise((resolve) => gunzip.once("drain", resolve)), unpackedOrBroken]);
    }
  }
  gunzip.end();
  const whole = await unpackedOrBroken;
  return {
    size,
    digest: `sha256:${raw.digest("hex")}`,
    ...(gzip && whole ? { uncompressed: `sha256:${inner.digest("hex")}` } : {}),
    ...(kept === undefined ? {} : { content: Buffer.concat(kept) }),
  };
}
