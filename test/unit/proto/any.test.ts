import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { holds, pack, packJson, specTypeUrl, typeNameOf, unpack } from "../../../shim/proto/any.js";
import { TaskExitSchema, TaskStartSchema } from "../../../shim/proto/gen/events_pb.js";

const exit = create(TaskExitSchema, { containerId: "c1", id: "c1", pid: 7, exitStatus: 3 });

describe("Any messages", () => {
  it("are packed with the bare name as type URL, as containerd does", () => {
    const packed = pack(TaskExitSchema, exit);
    assert.equal(packed.typeUrl, "containerd.events.TaskExit");
    assert.deepEqual(unpack(packed, TaskExitSchema), exit);
  });

  it("are recognised with protobuf's prefix too", () => {
    const packed = anyPack(TaskExitSchema, exit);
    assert.equal(packed.typeUrl, "type.googleapis.com/containerd.events.TaskExit");
    assert.equal(typeNameOf(packed), "containerd.events.TaskExit");
    assert.deepEqual(unpack(packed, TaskExitSchema), exit);
  });

  it("of another type are not unpacked", () => {
    assert.equal(unpack(pack(TaskExitSchema, exit), TaskStartSchema), undefined);
    assert.equal(holds(undefined, TaskStartSchema), false);
  });

  it("carry JSON under a spec's type URL", () => {
    const packed = packJson(specTypeUrl.process, { args: ["true"] });
    assert.equal(packed.typeUrl, "types.containerd.io/opencontainers/runtime-spec/1/Process");
    assert.equal(new TextDecoder().decode(packed.value), '{"args":["true"]}');
  });
});
