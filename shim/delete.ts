/**
 * The `delete` action: containerd runs it when it has lost the connection to a
 * shim, to do away with what one container may have left. The daemon may be
 * alive and serve others; it is only told. Standard output is one serialized
 * DeleteResponse, whatever could not be cleaned up.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { TtrpcClient } from "./ttrpc/index.js";
import { loadSettings } from "../config/settings.js";
import { messageOf, systemCodeOf } from "../runtime/errors.js";
import { removeEmptyState, removeLeftovers } from "../runtime/leftovers.js";
import { shimArguments } from "./arguments.js";
import { DeleteResponseSchema } from "./proto/gen/task_pb.js";
import { runtimeSettings } from "./runtime-settings.js";
import { timestamp } from "./timestamps.js";

/** 128 plus SIGKILL: what a container without a shim is taken to have ended with. */
const KILLED = 137;

const { id, bundle, socket } = shimArguments(process.argv.slice(2));
const report = (line: string): void => console.error(`${id}: ${line}`);

const settings = runtimeSettings(loadSettings(), { socket, log: report });
const pid = await removeLeftovers(id, bundle, settings);
await tellDaemon().catch((error: unknown) => {
  report(messageOf(error));
  // Nobody is there who would do it when the last container is gone.
  if (["ENOENT", "ECONNREFUSED"].includes(systemCodeOf(error) ?? "")) removeEmptyState(bundle, settings);
});
const response = create(DeleteResponseSchema, { pid, exitStatus: KILLED, exitedAt: timestamp(Date.now()) });
process.stdout.write(toBinary(DeleteResponseSchema, response));

async function tellDaemon(): Promise<void> {
  if (socket === "") {
    return;
  }
  using client = await TtrpcClient.connect(socket, { timeoutMilliseconds: 1000 });
  const payload = toBinary(StringValueSchema, create(StringValueSchema, { value: id }));
  await client.call("tine.shim.v1.Launcher", "Forget", payload, { timeoutMilliseconds: 1000 });
}
