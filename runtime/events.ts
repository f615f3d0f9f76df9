import type { Exit } from "../native/addon/children.js";
import type { Process } from "./process.js";

/**
 * What happens in a container's life, told in the order in which it happens:
 * a start before that process's exit, the first process's exit after all
 * others'.
 */
export type ContainerEvent =
  | { readonly type: "created"; readonly pid: number }
  | { readonly type: "started"; readonly pid: number }
  | { readonly type: "exec-added"; readonly process: Process }
  | { readonly type: "exec-started"; readonly process: Process }
  | { readonly type: "exited"; readonly process: Process; readonly exit: Exit }
  | { readonly type: "deleted"; readonly pid: number; readonly exit: Exit }
  | { readonly type: "out-of-memory" }
  | { readonly type: "paused" }
  | { readonly type: "resumed" };

/** Is told each event, at once; must not throw. */
export type ContainerListener = (event: ContainerEvent) => void;
