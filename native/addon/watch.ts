import { addon } from "./addon.js";

interface Entry {
  readonly descriptor: number;
  readonly onReadable: () => void;
}

const entries = new Map<number, Entry>();
let nextId = 1;

/** A descriptor being watched. Close it before closing the descriptor. */
export interface Watch {
  /** Asks for the next call; without it there is only one. */
  again(): void;
  /** Stops. Idempotent. The descriptor itself stays open. */
  close(): void;
}

/**
 * Calls back once when a descriptor becomes readable: a pidfd, an eventfd, a
 * bare socket; what libuv has no handle for. Keeps the event loop alive.
 *
 * @throws the system's error, for instance EPERM for a regular file
 */
export function watchReadable(descriptor: number, onReadable: () => void): Watch {
  if (nextId === 1) {
    // A call for a watch that was closed meanwhile finds no entry.
    addon.startWatches((id) => entries.get(id)?.onReadable());
  }
  const id = nextId++;
  addon.addWatch(descriptor, id);
  entries.set(id, { descriptor, onReadable });
  return {
    again: () => {
      if (entries.has(id)) {
        addon.armWatch(descriptor, id);
      }
    },
    close: () => {
      if (entries.delete(id)) {
        addon.removeWatch(descriptor);
      }
    },
  };
}
