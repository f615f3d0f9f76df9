/** A file, folder or device node of an initramfs; `path` has no leading slash. */
export type InitramfsEntry =
  | { kind: "file"; path: string; mode: number; content: Uint8Array }
  | { kind: "folder"; path: string }
  | { kind: "character-device"; path: string; major: number; minor: number };

const regular = 0o100000;
const directory = 0o040000;
const character = 0o020000;

/**
 * A cpio archive in the kernel's `newc` format (Documentation/driver-api/early-userspace/buffer-format.rst). Folders
 * must stand before what is in them.
 */
export function initramfs(entries: readonly InitramfsEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    const content = entry.kind === "file" ? entry.content : new Uint8Array();
    append(parts, entry.path, index + 1, modeOf(entry), content, entry);
  });
  append(parts, "TRAILER!!!", 0, 0, new Uint8Array());
  return Buffer.concat(parts);
}

function modeOf(entry: InitramfsEntry): number {
  switch (entry.kind) {
    case "file":
      return regular | entry.mode;
    case "folder":
      return directory | 0o755;
    case "character-device":
      return character | 0o600;
  }
}

function append(
  parts: Buffer[],
  path: string,
  inode: number,
  mode: number,
  content: Uint8Array,
  entry?: InitramfsEntry,
): void {
  const name = Buffer.from(`${path}\0`);
  const device = entry?.kind === "character-device" ? entry : { major: 0, minor: 0 };
  // ino, mode, uid, gid, nlink, mtime, filesize, maj, min, rmaj, rmin, namesize, chksum: eight hexadecimal digits each.
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, device.major, device.minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  parts.push(
    header,
    name,
    padding(header.length + name.length),
    Buffer.from(content),
    padding(content.length),
  );
}

/** Names and contents end at multiples of four bytes. */
function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}
