/** Three digits and a unit. */
export function duration(seconds: number): string {
  if (seconds >= 1) return `${seconds.toPrecision(seconds >= 1000 ? Math.ceil(Math.log10(seconds)) : 3)} s`;
  if (seconds >= 1e-3) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${(seconds * 1e6).toPrecision(3)} µs`;
}

/** Kibibytes, or mebibytes where there are many. */
export function size(bytes: number): string {
  return bytes < 10 * 1024 * 1024 ? `${Math.round(bytes / 1024)}K` : `${Math.round(bytes / 1024 / 1024)}M`;
}
