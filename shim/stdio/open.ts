import type { Writable } from "node:stream";
import type { ProcessStdio } from "../../runtime/stdio.js";
import { FifoInput } from "./input.js";
import { Logger, type LoggerContext } from "./logger.js";
import { FifoOutput } from "./fifo-output.js";
import { OutputFile } from "./output-file.js";
import { PlainStreams, type PlainOutput } from "./plain-streams.js";
import { TerminalStreams } from "./terminal-streams.js";
import { parseStreamUri } from "./uri.js";
import { RuntimeError } from "../../runtime/errors.js";

/** A request's streams; empty is "not wanted". */
export interface StreamRequest {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Whose streams, and who is told of output that gets lost. */
export interface StreamContext extends LoggerContext {
  readonly log: (line: string) => void;
}

/**
 * Opens what a request names.
 *
 * @throws RuntimeError `invalid-argument` for a URI that cannot be; the system's error for one that cannot be opened
 */
export async function openStreams(request: StreamRequest, context: StreamContext): Promise<ProcessStdio> {
  const opened: (() => void)[] = [];
  try {
    const outputs = await openOutputs(request, context, opened);
    const stdin = parseStreamUri(request.stdin);
    let input: FifoInput | undefined;
    if (stdin.kind === "fifo") {
      input = new FifoInput(stdin.path);
    } else if (stdin.kind !== "nothing") {
      throw new RuntimeError("invalid-argument", `standard input cannot come from ${request.stdin}`);
    }
    const { stdout, stderr, logger } = outputs;
    return request.terminal
      ? new TerminalStreams(input, stdout, logger)
      : new PlainStreams(input, stdout, stderr, logger);
  } catch (error) {
    opened.forEach((close) => close());
    throw error;
  }
}

interface Outputs {
  readonly stdout: PlainOutput;
  readonly stderr: PlainOutput;
  readonly logger: Logger | undefined;
}

async function openOutputs(
  request: StreamRequest,
  context: StreamContext,
  opened: (() => void)[],
): Promise<Outputs> {
  const uris = [parseStreamUri(request.stdout), parseStreamUri(request.terminal ? "" : request.stderr)];
  const binary = uris.find((uri) => uri.kind === "binary");
  const logger = binary === undefined ? undefined : await Logger.start(binary.path, binary.args, context);
  if (logger !== undefined) {
    opened.push(() => void logger.stop());
  }
  const files = new Map<string, OutputFile>();
  const opening = uris.map(async (uri, index): Promise<PlainOutput> => {
    switch (uri.kind) {
      case "nothing":
        return undefined;
      case "binary":
        return logger?.descriptors[index];
      case "fifo":
        return keep(await FifoOutput.open(uri.path), opened);
      case "file": {
        const file = files.get(uri.path) ?? new OutputFile(uri.path, (line) => context.log(line));
        files.set(uri.path, file);
        return keep(file.writer(), opened);
      }
    }
  });
  await Promise.allSettled(opening);
  const [stdout, stderr] = await Promise.all(opening);
  return { stdout, stderr, logger };
}

function keep(writable: Writable, opened: (() => void)[]): Writable {
  opened.push(() => writable.destroy());
  return writable;
}
