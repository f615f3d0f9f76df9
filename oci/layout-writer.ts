import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, createGzip } from "node:zlib";
import { pack, type Pack } from "tar-stream";
import {
  mediaTypes,
  type Descriptor,
  type Digest,
  type ExecutionConfig,
  type ImageConfiguration,
  type ImageIndex,
  type ImageManifest,
} from "./image.js";

/** What an image is made of. */
export interface ImageSource {
  /** The image's name in a client, such as `example.test/debian:12`. */
  reference: string;
  /** Go's name of the architecture: `amd64`, `arm64`. */
  architecture: string;
  os?: string;
  config?: ExecutionConfig;
  /** RFC 3339; the epoch unless given, so that the same input gives the same image. */
  created?: string;
  /** Paths of uncompressed tar files, the lowest layer first. */
  layers: string[];
}

interface StoredLayer {
  path: string;
  descriptor: Descriptor;
  diffId: Digest;
}

/**
 * Writes an image as an OCI layout in one tar file, which `ctr images import`, skopeo and podman read. Layers
 * are compressed with gzip; the file appears complete or not at all.
 *
 * @param destination path of the archive; replaced if it exists.
 * @returns the descriptor of the image's manifest.
 * @throws the file system's errors.
 * @see image-spec, image-layout.md
 */
export async function writeImageArchive(destination: string, image: ImageSource): Promise<Descriptor> {
  const scratch = await mkdtemp(join(dirname(destination), ".image-"));
  try {
    const layers: StoredLayer[] = [];
    for (const [index, layer] of image.layers.entries()) {
      layers.push(await compressLayer(layer, join(scratch, `layer-${index}`)));
    }
    const created = image.created ?? "1970-01-01T00:00:00Z";
    const configuration: ImageConfiguration = {
      created,
      architecture: image.architecture,
      os: image.os ?? "linux",
      config: image.config ?? {},
      rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
      history: layers.map(() => ({ created })),
    };
    const config = jsonBlob(configuration, mediaTypes.config);
    const manifestValue: ImageManifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: config.descriptor,
      layers: layers.map((layer) => layer.descriptor),
    };
    const manifest = jsonBlob(manifestValue, mediaTypes.manifest);
    const index: ImageIndex = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [
        {
          ...manifest.descriptor,
          platform: { architecture: configuration.architecture, os: configuration.os },
          annotations: {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": tagOf(image.reference),
          },
        },
      ],
    };
    const unfinished = join(scratch, "image.tar");
    await writeTar(unfinished, [config, manifest], layers, index);
    await rename(unfinished, destination);
    return manifest.descriptor;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

interface JsonBlob {
  content: Buffer;
  descriptor: Descriptor;
}

function jsonBlob(value: unknown, mediaType: string): JsonBlob {
  const content = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  return { content, descriptor: { mediaType, digest, size: content.length } };
}

function tagOf(reference: string): string {
  const name = reference.slice(reference.lastIndexOf("/") + 1);
  const colon = name.indexOf(":");
  return colon < 0 ? "latest" : name.slice(colon + 1);
}

/** A stream that hands on what it gets and takes its hash on the way. */
export function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

async function compressLayer(tarFile: string, destination: string): Promise<StoredLayer> {
  const plain = createHash("sha256");
  const compressed = createHash("sha256");
  await pipeline(
    createReadStream(tarFile, { highWaterMark: 1 << 20 }),
    hashing(plain),
    createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 1 << 18 }),
    hashing(compressed),
    createWriteStream(destination),
  );
  const { size } = await stat(destination);
  return {
    path: destination,
    descriptor: { mediaType: mediaTypes.layerGzip, digest: `sha256:${compressed.digest("hex")}`, size },
    diffId: `sha256:${plain.digest("hex")}`,
  };
}

async function writeTar(
  path: string,
  blobs: JsonBlob[],
  layers: StoredLayer[],
  index: ImageIndex,
): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(path));
  const entries = (async () => {
    await addEntry(archive, "oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    await addEntry(archive, "index.json", Buffer.from(JSON.stringify(index)));
    for (const blob of blobs) await addEntry(archive, blobPath(blob.descriptor.digest), blob.content);
    // Two equal layers are one blob.
    const unique = new Map(layers.map((layer) => [layer.descriptor.digest, layer]));
    for (const layer of unique.values()) {
      const entry = archive.entry({
        name: blobPath(layer.descriptor.digest),
        size: layer.descriptor.size,
        mtime: epoch,
      });
      await pipeline(createReadStream(layer.path), entry);
    }
    archive.finalize();
  })();
  await Promise.all([written, entries]);
}

const epoch = new Date(0);

/** Where a blob stands in a layout. */
export function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function addEntry(archive: Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry({ name, mtime: epoch }, content, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
