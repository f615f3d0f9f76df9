import { readFileSync } from "node:fs";
import { addon } from "../../../native/addon/addon.js";
import { broken, ok, warning, type Finding } from "./finding.js";

const neededControllers = ["cpu", "memory", "pids"];

/** How the host does cgroups. */
export function checkCgroups(): Finding {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const unified = mounts.find(([, place, type]) => type === "cgroup2" && place === "/sys/fs/cgroup");
  const legacy = mounts.filter(([, , type]) => type === "cgroup");
  if (unified === undefined && legacy.length === 0) {
    return broken("cgroup", "no cgroup hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup");
  }
  const mode =
    unified !== undefined ? "v2" : mounts.some(([, , type]) => type === "cgroup2") ? "v1 (hybrid)" : "v1";
  const controllers =
    unified !== undefined
      ? readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ")
      : legacy.flatMap(([, , , options = ""]) => options.split(","));
  const missing = neededControllers.filter((name) => !controllers.includes(name));
  if (missing.length > 0) {
    return warning(
      "cgroup",
      `${mode}, without ${missing.join(", ")}`,
      "limits and statistics of these are not to be had",
    );
  }
  return ok("cgroup", `${mode} with ${neededControllers.join(", ")}`);
}

/** Whether large mappings can have huge pages, on which the cost of fork depends. */
export function checkHugePages(): Finding {
  const file = "/sys/kernel/mm/transparent_hugepage/enabled";
  const mode = /\[(\w+)\]/.exec(readOrEmpty(file))?.[1];
  if (mode === "always" || mode === "madvise") return ok("huge-pages", `transparent huge pages: ${mode}`);
  return warning(
    "huge-pages",
    mode === undefined ? "this kernel has no transparent huge pages" : `transparent huge pages: ${mode}`,
    mode === undefined ? "fork will cost more than it could" : `echo madvise > ${file}`,
  );
}

const wantedDescriptors = 4096n;
const wantedMappings = 65530;

/** The limits a monitor meets. */
export function checkLimits(): Finding[] {
  const findings: Finding[] = [];
  const [, descriptors] = addon.resourceLimit(resources.descriptors);
  const [addressSpace] = addon.resourceLimit(resources.addressSpace);
  const mappings = Number(readOrEmpty("/proc/sys/vm/max_map_count"));
  findings.push(
    descriptors >= wantedDescriptors
      ? ok("descriptors", `up to ${descriptors} descriptors a process`)
      : warning(
          "descriptors",
          `up to ${descriptors} descriptors a process`,
          `ulimit -Hn ${wantedDescriptors} or more`,
        ),
  );
  findings.push(
    mappings >= wantedMappings
      ? ok("mappings", `up to ${mappings} mappings a process`)
      : warning(
          "mappings",
          `up to ${mappings} mappings a process`,
          `sysctl vm.max_map_count=${wantedMappings} or more`,
        ),
  );
  if (addressSpace !== unlimited) {
    findings.push(warning("address-space", `limited to ${addressSpace} bytes`, "ulimit -v unlimited"));
  }
  if (readOrEmpty("/proc/sys/vm/overcommit_memory").trim() === "2") {
    findings.push(
      warning(
        "overcommit",
        "vm.overcommit_memory is 2: a fork needs as much free memory as its parent has",
        "sysctl vm.overcommit_memory=0",
      ),
    );
  }
  return findings;
}

/** RLIMIT_* of <asm-generic/resource.h>. */
const resources = { descriptors: 7, addressSpace: 9 };
const unlimited = 2n ** 64n - 1n;

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
