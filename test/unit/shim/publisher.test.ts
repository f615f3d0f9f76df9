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
import { EventGate } from "../../harness/event-gate.js";

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

describe("an end whose hearing is not confirmed", () => {
  const exit = { status: 9, signal: null, at: 1_234_567 };
  const ended = eventMessage({ type: "exited", process: new Process(""), exit }, request);

  for (const [title, known, times] of [
    ["is told five times to hearers who do not act on it", false, 5],
    ["is not told again when hearers have acted on it", true, 1],
  ] as const) {
    it(title, async () => {
      const folder = await mkdtemp(join(tmpdir(), "tine-events-"));
      const address = join(folder, "socket");
      const recorder = await EventRecorder.listen(address);
      const gate = await EventGate.open(address, () => undefined);
      gate.manner = "repeated";
      const given: string[] = [];
      const report = (line: string): number => given.push(line);
      const events = new Publisher({ address, namespace: "ns", report, firstPauseMilliseconds: 5 });
      events.publish(ended, { known: () => known && recorder.all.length > 0 });
      await events.flushed();
      events.close();
      await gate.close(false);
      await recorder.close();
      await rm(folder, { recursive: true });
      assert.deepEqual([recorder.all.length, given.length], [times, known ? 0 : 1]);
    });
  }

  it("is told again as long as nobody was there to hear it, known or not", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tine-events-"));
    const address = join(folder, "socket");
    const events = new Publisher({ address, namespace: "ns", report: () => 0, firstPauseMilliseconds: 50 });
    events.publish(ended, { known: () => true });
    await new Promise((resolve) => setTimeout(resolve, 60));
    const recorder = await EventRecorder.listen(address);
    await events.flushed();
    events.close();
    await recorder.close();
    await rm(folder, { recursive: true });
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
