/** Every key of tine.toml: its kind, its default, what it does. docs/configuration.md is made from this. */

/** A key whose value is one of a few words. */
interface ChoiceKey<T extends string> {
  readonly kind: "choice";
  /** Each word, and what it means. */
  readonly choices: Readonly<Record<T, string>>;
  readonly fallback: T;
  readonly description: string;
}

/** A key whose value is a program: an absolute path, or a name that is looked up in PATH. */
interface ProgramKey {
  readonly kind: "program";
  readonly fallback: string;
  readonly description: string;
}

/** A key whose value is an absolute path. */
interface PathKey {
  readonly kind: "path";
  readonly fallback: string;
  readonly description: string;
}

/** A key whose value is a program that runs other programs: an absolute path, perhaps with flags behind a colon. */
interface TranslatorKey {
  readonly kind: "translator";
  readonly fallback: string;
  readonly description: string;
}

/** A key whose value is where something is served: a unix socket's absolute path, or a port of this machine alone. */
interface AddressKey {
  readonly kind: "address";
  readonly fallback: string;
  readonly description: string;
}

/** A key whose value is a whole number. */
interface AmountKey {
  readonly kind: "amount";
  readonly fallback: number;
  readonly most: number;
  readonly unit: string;
  readonly description: string;
}

export type Key = ChoiceKey<string> | ProgramKey | PathKey | TranslatorKey | AddressKey | AmountKey;

export interface Section {
  readonly description: string;
  readonly keys: Readonly<Record<string, Key>>;
}

function choice<const T extends string>(
  fallback: NoInfer<T>,
  description: string,
  choices: Readonly<Record<T, string>>,
): ChoiceKey<T> {
  return { kind: "choice", fallback, description, choices };
}

function program(fallback: string, description: string): ProgramKey {
  return { kind: "program", fallback, description };
}

function path(fallback: string, description: string): PathKey {
  return { kind: "path", fallback, description };
}

function address(description: string): AddressKey {
  return { kind: "address", fallback: "", description };
}

function amount(fallback: number, most: number, unit: string, description: string): AmountKey {
  return { kind: "amount", fallback, most, unit, description };
}

function translator(architecture: string): TranslatorKey {
  return { kind: "translator", fallback: "", description: `Runs programs for ${architecture}.` };
}

export const schema = {
  runtime: {
    description: "Where the runtime finds its parts and keeps its state.",
    keys: {
      runc: program(
        "runc",
        "The OCI runtime that makes the jail around the monitor: namespaces, mounts, cgroups, hooks.",
      ),
      root: path("/run/tine", "Folder for state that need not outlive a reboot. Made with mode 0700."),
    },
  },
  shim: {
    description: "The process that serves containerd.",
    keys: {
      group: choice("namespace", "Which containers share one shim process.", {
        namespace: "all containers of a containerd namespace, but a Kubernetes pod has its own",
        pod: "the containers of a Kubernetes pod; every other container has its own",
        container: "none: every container has its own",
      }),
      log_level: choice("info", "The least severe messages that reach containerd's log.", {
        debug: "everything, each request included",
        info: "what happens to containers",
        warning: "what may be wrong",
        error: "what failed",
      }),
      metrics: address(
        "Where figures for Prometheus are served: a unix socket's path, `127.0.0.1:PORT` or `[::1]:PORT`. Empty: nowhere. See docs/metrics.md.",
      ),
    },
  },
  fork: {
    description: "How a forked process gets its memory.",
    keys: {
      strategy: choice("auto", "How the pages of the parent reach the child.", {
        auto: "`cow` for native programs, `selective-cow` for translated ones",
        cow: "all pages are shared until one side writes",
        "selective-cow": "as `cow`, but what a translator's JIT compiler owns is copied at once",
        "region-copy": "everything resident is copied before the child runs",
      }),
    },
  },
  translators: {
    description: [
      "Programs that run programs of other architectures. What is not named here comes from the host's",
      "/proc/sys/fs/binfmt_misc; this machine's own architecture needs none. Each is an absolute path; flags of",
      "binfmt_misc may follow behind a colon: `P` keeps argv[0], `O` and `C` hand over the opened program, and with",
      "`F` a container gets the host's very file instead of a sealed copy, as Rosetta wants it (`rosetta:CF`).",
      "Without flags: `PO`, as qemu-user wants it. See docs/translators.md.",
    ].join("\n"),
    keys: {
      amd64: translator("x86-64"),
      arm64: translator("64-bit ARM"),
      386: translator("32-bit x86"),
      arm: translator("32-bit ARM"),
      riscv64: translator("64-bit RISC-V"),
      ppc64le: translator("64-bit little-endian Power"),
      s390x: translator("IBM Z"),
      mips64le: translator("64-bit little-endian MIPS"),
      loong64: translator("64-bit LoongArch"),
    },
  },
  calls: {
    description: "How system calls are served.",
    keys: {
      exitless: choice(
        "auto",
        "Whether a second thread of the monitor stays in KVM while the first serves calls. See docs/exitless.md.",
        {
          off: "never",
          auto: "for threads that make many calls, where the process may run on more than one processor",
          on: "for every thread, where the process may run on more than one processor",
        },
      ),
    },
  },
  memory: {
    description: "The guest's memory.",
    keys: {
      huge_pages: choice(
        "auto",
        "Whether large anonymous mappings ask for huge pages, which makes fork cheaper.",
        {
          auto: "yes, where the host has them and the guest did not decline",
          never: "only where the guest asks for them",
        },
      ),
      code_store: amount(
        64,
        2047,
        "MiB",
        "How much memory a container may spend on copies of its programs' code, which all its processes share and which come eight pages at a time where page faults are dear; 0: none. Never more than an eighth of the container's memory limit. See docs/memory.md.",
      ),
    },
  },
  node: {
    description: "The Node.js that runs the shim.",
    keys: {
      path: program(
        "",
        "Empty: the one that Tine was built with. `TINE_NODE` in containerd's environment goes before it.",
      ),
    },
  },
} as const satisfies Record<string, Section>;

type ValueOf<K> = K extends ChoiceKey<infer T> ? T : K extends AmountKey ? number : string;

/** tine.toml with every default filled in. */
export type Settings = {
  -readonly [S in keyof typeof schema]: {
    -readonly [K in keyof (typeof schema)[S]["keys"]]: ValueOf<(typeof schema)[S]["keys"][K]>;
  };
};
