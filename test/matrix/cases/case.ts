/** A client that a case can be for. */
export type Client = "docker" | "docker-userns" | "nerdctl" | "nerdctl-userns" | "crictl" | "kubectl" | "ctr";

/**
 * What somebody does with a client, as a bash script that prints what is to be compared. It is run once under
 * runc and once under Tine, and has to print the same and end the same way. It finds:
 *
 * - `c ARGS…`, the client; `run ARGS…`, its `run` with the runtime chosen; `up ARGS…`, `run --detach` without
 *   the id it prints;
 * - `$N`, a container name for the case's own use, and `$D`, an empty folder; `$BB` and `$DEB`, a busybox and
 *   a Debian image, `$APP` one with PostgreSQL, redis and Python;
 * - `terminal COMMAND…`, which runs one on a terminal of 33 rows and 101 columns, and `typed SECONDS TEXT…`,
 *   which prints the texts with that pause before each;
 * - `until_ok COMMAND…`, which tries until it succeeds, at most 15 seconds.
 */
export interface Case {
  readonly title: string;
  readonly script: string;
  /** The clients that offer what the case uses; docker and nerdctl unless given. */
  readonly clients?: readonly Client[];
  /** Which of them do not offer it after all, and what they say or do instead. */
  readonly lacks?: Readonly<Partial<Record<Client, string>>>;
  /** Milliseconds for one side of it; 60,000 unless given. */
  readonly limit?: number;
  /** Whether `npm test` runs it too. */
  readonly quick?: boolean;
  /** Why the two may differ, and what Tine's side then prints, with status 0: anything else is a failure. */
  readonly differs?: { readonly why: string; readonly tine: string };
}
