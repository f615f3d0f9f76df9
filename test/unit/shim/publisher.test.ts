import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Process } from "../../../runtime/process.js";
import { eventMessage } from "../../../shim/events/messages.js";
import { Publisher } from "../../../shim/events/publisher.js";
import { TaskExitSchema } from "../../../shim/proto/gen/events_pb.js";
import { CreateTaskRequestSchema } from "../../../shim/proto/gen/task_pb.js";
import { EventRecorder } from "../../contract/events.js";

const request = create(CreateTaskRequestSchema, { id: "c", bundle: "/b" });
const started = (pid: number) => eventMessage({ type: "started", pid }, request);

describe("publishing events", () => {
  let folder: string;
  let address: string;
  let given: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-events-"));
    address = join(folder, "socket");
    given = [];
  });

  afterEach(() => rm(folder, { recursive: true }));

  const publisher = () =>
    new Publisher({
      address,
      namespace: "ns",
      report: (line) => given.push(line),
      firstPauseMilliseconds: 5,
    });

  it("keeps the order, whatever has to be tried again", async () => {
    const recorder = await EventRecorder.listen(address);
    const events = publisher();
    recorder.refuse = 2;
    for (let pid = 1; pid <= 20; pid += 1) events.publish(started(pid));
    await events.flushed();
    events.close();
    await recorder.close();
    assert.deepEqual(
      recorder.all.map(({ topic, namespace, typeUrl, event }) => [
        topic,
        namespace,
        typeUrl,
        Number(Reflect.get(event, "pid")),
      ]),
      Array.from({ length: 20 }, (_, index) => [
        "/tasks/start",
        "ns",
        "containerd.events.TaskStart",
        index + 1,
      ]),
    );
  });

  it("finds a containerd that was restarted", async () => {
    const events = publisher();
    const first = await EventRecorder.listen(address);
    events.publish(started(1));
    await events.flushed();
    await first.close();
    const second = await EventRecorder.listen(address);
    events.publish(started(2));
    await events.flushed();
    events.close();
    await second.close();
    assert.deepEqual([first.all.length, second.all.length, given], [1, 1, []]);
  });

  it("gives up what nobody takes in five tries, says so, and goes on", async () => {
    const events = publisher();
    events.publish(started(1));
    await events.flushed();
    assert.deepEqual(given, [`event /tasks/start is given up: connect ENOENT ${address}`]);
    const recorder = await EventRecorder.listen(address);
    events.publish(started(2));
    await events.flushed();
    events.close();
    await recorder.close();
    assert.equal(recorder.all.length, 1);
  });
});

describe("an event's message", () => {
  it("names the container as the process whose exit it tells, for the first", () => {
    const exit = { status: 137, signal: 9, at: 1_234_567 };
    const told = ["", "e"].map((id) => {
      const { topic, typeUrl, value } = eventMessage(
        { type: "exited", process: new Process(id), exit },
        request,
      );
      const { containerId, id: processId, exitStatus, exitedAt } = fromBinary(TaskExitSchema, value);
      return { topic, typeUrl, containerId, processId, exitStatus, at: [exitedAt?.seconds, exitedAt?.nanos] };
    });
    const same = {
      topic: "/tasks/exit",
      typeUrl: "containerd.events.TaskExit",
      containerId: "c",
      exitStatus: 137,
    };
    const at = [1234n, 567_000_000];
    assert.deepEqual(told, [
      { ...same, processId: "c", at },
      { ...same, processId: "e", at },
    ]);
  });
});
