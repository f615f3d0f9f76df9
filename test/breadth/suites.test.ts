import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { microVmSide, nativeSide, unpackImage, type Side } from "../differential/sides.js";
import { layOut, readOutcome } from "../differential/work-folder.js";
import { debianImage } from "../harness/image.js";

/** The stressors of the slice: each ends within two seconds and touches another part of the monitor. */
const stressors = [
  "access",
  "aio",
  "bad-altstack",
  "brk",
  "clone",
  "daemon",
  "epoll",
  "exec",
  "fault",
  "fork",
  "futex",
  "mmap",
  "mprotect",
  "mremap",
  "pthread",
  "remap",
  "sem-sysv",
  "shm-sysv",
  "sigfd",
  "signal",
  "sigq",
  "sigsegv",
  "sock",
  "stack",
  "timer",
  "vfork",
  "zombie",
];

/** The modules of Python's suite in the slice. */
const modules = ["test_epoll", "test_mmap", "test_popen", "test_pty", "test_resource", "test_thread"];

/** Milliseconds a side gets for the whole slice. */
const sideLimit = 600_000;

const group = {
  name: "suites",
  run: 'sh "$1"',
  cases: [
    ...stressors.map((name) => ({
      name: `stress-ng --${name}`,
      script: `stress-ng --${name} 1 -t 1 --verify --temp-path . >log 2>&1; echo $?; grep ' fail: ' log; rm log`,
    })),
    ...modules.map((name) => ({
      name: `python3 -m test ${name}`,
      script:
        `python3 -m test -v --tempdir . ${name} >log 2>&1; echo $?\n` +
        `grep -E '^(FAIL|ERROR|SKIPPED|Ran [0-9]+ tests|OK)' log | sed 's/ in [0-9.]*s$//'; rm log`,
    })),
  ],
};

describe("stress-ng and Python's own tests find in microVMs what they find on Linux", function () {
  this.timeout(2 * sideLimit);
  const folders: string[] = [];

  before(async () => {
    const root = await unpackImage(await debianImage(["libpython3.11-testsuite", "python3", "stress-ng"]));
    const sides: Side[] = [nativeSide(root), microVmSide(root)];
    for (const side of sides) {
      const folder = mkdtempSync(join(tmpdir(), "tine-breadth-"));
      folders.push(folder);
      layOut(group, folder);
      const result = await side.run(folder, sideLimit);
      assert.deepEqual(result, { status: 0, stdout: "", stderr: "" }, `the driver, ${side.name}`);
    }
  });

  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  group.cases.forEach((one, index) => {
    it(one.name, () => {
      const [native, guest] = folders.map((folder) => readOutcome(folder, index));
      assert.deepEqual(guest, native);
      assert.match(guest?.stdout ?? "", /^0\n/);
    });
  });
});
