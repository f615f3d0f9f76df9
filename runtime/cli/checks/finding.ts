/** How a machine does in one respect. */
export interface Finding {
  /** A stable word for programs that read `tine doctor --json`. */
  readonly name: string;
  /** `broken`: containers cannot run; `warning`: they can, but less well. */
  readonly state: "ok" | "warning" | "broken";
  /** What was found. */
  readonly found: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export function ok(name: string, found: string): Finding {
  return { name, state: "ok", found };
}

export function warning(name: string, found: string, remedy: string): Finding {
  return { name, state: "warning", found, remedy };
}

export function broken(name: string, found: string, remedy: string): Finding {
  return { name, state: "broken", found, remedy };
}
