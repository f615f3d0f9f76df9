import { closeSync, existsSync, openSync } from "node:fs";
import { monitor } from "../installation.js";
import { broken, ok, type Finding } from "./finding.js";
import { outputOf } from "./programs.js";

/** What `tine-vmm --probe` prints. */
interface Probe {
  readonly kvm: string;
  readonly stub: string;
  readonly why: string;
  readonly exit_us: number;
}

/** Whether KVM is there for us, which one it is, and how the guest's system calls reach the monitor. */
export async function checkKvm(): Promise<Finding[]> {
  if (!existsSync("/dev/kvm")) {
    return [
      broken(
        "kvm",
        "there is no /dev/kvm",
        "switch virtualisation on in the firmware, or nested virtualisation in the cloud machine's settings; load kvm_intel or kvm_amd",
      ),
    ];
  }
  try {
    closeSync(openSync("/dev/kvm", "r+"));
  } catch (error) {
    const { message } = error as Error;
    return [
      broken(
        "kvm",
        `/dev/kvm cannot be opened: ${message}`,
        "run as root, or join the group that owns /dev/kvm",
      ),
    ];
  }
  if (!existsSync(monitor)) return [broken("monitor", `${monitor} is missing`, "npm run build")];
  const { status, stdout, stderr } = await outputOf(monitor, ["--probe"]);
  const probe = status === 0 ? readProbe(stdout) : undefined;
  if (probe === undefined) {
    const printed = `${stdout}${stderr}`.trim();
    return [
      broken(
        "monitor",
        `tine-vmm --probe gave ${status}: ${printed}`,
        "this KVM lacks something Tine needs; report these lines",
      ),
    ];
  }
  return [
    ok(
      "kvm",
      `/dev/kvm is ${probe.kvm.toUpperCase()}; leaving the guest costs ${probe.exit_us.toFixed(1)} µs`,
    ),
    ok("stub", `system calls arrive through the ${probe.stub} stub: ${probe.why}`),
  ];
}

function readProbe(text: string): Probe | undefined {
  try {
    const value = JSON.parse(text) as Partial<Probe>;
    const { kvm, stub, why, exit_us: cost } = value;
    if (typeof kvm !== "string" || typeof stub !== "string" || typeof cost !== "number") return undefined;
    return { kvm, stub, why: why ?? "", exit_us: cost };
  } catch {
    return undefined;
  }
}
