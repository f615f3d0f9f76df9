import { boolean, list, object, oneOf, optional, record, text, type TypeOf } from "../schema.js";
import { int64, nonEmpty, uint16, uint32, uint64 } from "./common.js";

/** config-linux.md, "Allowed Device list": a rule of the device cgroup. */
export const deviceRule = object({
  allow: boolean(),
  type: optional(oneOf("", "a", "c", "b")),
  major: optional(int64),
  minor: optional(int64),
  access: optional(text((value) => /^[rwm]*$/.test(value), "made of r, w and m")),
});

/** Bytes. */
export const memory = object({
  limit: optional(int64),
  reservation: optional(int64),
  swap: optional(int64),
  kernel: optional(int64),
  kernelTCP: optional(int64),
  swappiness: optional(uint64),
  disableOOMKiller: optional(boolean()),
  useHierarchy: optional(boolean()),
  checkBeforeUpdate: optional(boolean()),
});

/** Times in microseconds. */
export const cpu = object({
  shares: optional(uint64),
  quota: optional(int64),
  burst: optional(uint64),
  period: optional(uint64),
  realtimeRuntime: optional(int64),
  realtimePeriod: optional(uint64),
  cpus: optional(text()),
  mems: optional(text()),
  idle: optional(int64),
});

const weightDevice = object({
  major: int64,
  minor: int64,
  weight: optional(uint16),
  leafWeight: optional(uint16),
});

const throttleDevice = object({ major: int64, minor: int64, rate: uint64 });

export const blockIo = object({
  weight: optional(uint16),
  leafWeight: optional(uint16),
  weightDevice: optional(list(weightDevice)),
  throttleReadBpsDevice: optional(list(throttleDevice)),
  throttleWriteBpsDevice: optional(list(throttleDevice)),
  throttleReadIOPSDevice: optional(list(throttleDevice)),
  throttleWriteIOPSDevice: optional(list(throttleDevice)),
});

/** config-linux.md, "Control groups"; also what `Update` is given. */
export const resources = object({
  devices: optional(list(deviceRule)),
  memory: optional(memory),
  cpu: optional(cpu),
  pids: optional(object({ limit: int64 })),
  blockIO: optional(blockIo),
  hugepageLimits: optional(list(object({ pageSize: nonEmpty, limit: uint64 }))),
  network: optional(
    object({
      classID: optional(uint32),
      priorities: optional(list(object({ name: nonEmpty, priority: uint32 }))),
    }),
  ),
  rdma: optional(record(object({ hcaHandles: optional(uint32), hcaObjects: optional(uint32) }))),
  unified: optional(record(text())),
});

export type DeviceRule = TypeOf<typeof deviceRule>;
export type Memory = TypeOf<typeof memory>;
export type Cpu = TypeOf<typeof cpu>;
export type BlockIo = TypeOf<typeof blockIo>;
export type Resources = TypeOf<typeof resources>;
