import assert from "node:assert/strict";
import { check } from "../../harness/command.js";
import { compileNative } from "./compile.js";

/** /proc/PID/maps of a monitor, as the host shows it: windows, a mapping of the monitor's zone, the host's stack. */
const hostMaps = [
  "155555554000-155555556000 r--p 00000000 fe:00 247278                     /usr/bin/cat",
  "155555556000-15555555d000 r--p 00002000 fe:00 247278                     /usr/bin/cat",
  "15555555d000-15555557f000 rw-p 00000000 00:00 0 ",
  "3ffff7c00000-3ffff7d00000 rw-p 00000000 00:00 0 ",
  "3fffffede000-3ffffffff000 rw-p 00000000 00:00 0 ",
  "400000400000-400000401000 r--p 00000000 fe:00 99                         /tmp/fixed address",
  "7ee5a7a15000-7ee5a7a17000 r--p 00031000 fe:00 325835                     /memfd:tine-vmm (deleted)",
  "7ffc3d716000-7ffc3d737000 rw-p 00000000 00:00 0                          [stack]",
  "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
  "",
].join("\n");

const mappings = [
  "400000-401000:rx:",
  "555555554000-555555556000:r-:",
  "555555556000-55555555a000:rx:",
  "55555555a000-55555555d000:r-:",
  "55555555d000-55555557f000:rw:[heap]",
  "7ffff7c00000-7ffff7d00000:rwx:",
  "7ffff7e00000-7ffff7f00000:-:",
  "7ffff7fc0000-7ffff7fc2000:rx:[vdso]",
  "7ffffffde000-7ffffffff000:rw:[stack]",
];

const figures = (size: number, rss: number, flags: string) =>
  [
    `Size:           ${String(size).padStart(8)} kB`,
    "KernelPageSize:        4 kB",
    `Rss:            ${String(rss).padStart(8)} kB`,
    "THPeligible:           0",
    `VmFlags: ${flags} `,
    "",
  ].join("\n");

describe("what a guest reads in /proc", () => {
  let program: string;

  before(async function () {
    this.timeout(120_000);
    program = await compileNative("procfs_text", ["procfs/lines.cc", "procfs/counters.cc"]);
  });

  const filter = async (kind: string, input: string, args: readonly string[] = []) =>
    (await check([program, kind, ...args], { input })).stdout;

  it("has its own mappings, protections and names in maps", async () => {
    // The host's stack grew below what the guest mapped by 1 MiB: the guest sees what it mapped.
    assert.equal(
      await filter("maps", hostMaps, mappings),
      [
        "00400000-00401000 r-xp 00000000 fe:00 99                                 /tmp/fixed address",
        "555555554000-555555556000 r--p 00000000 fe:00 247278                     /usr/bin/cat",
        "555555556000-55555555a000 r-xp 00002000 fe:00 247278                     /usr/bin/cat",
        "55555555a000-55555555d000 r--p 00006000 fe:00 247278                     /usr/bin/cat",
        "55555555d000-55555557f000 rw-p 00000000 00:00 0                          [heap]",
        "7ffff7c00000-7ffff7d00000 rwxp 00000000 00:00 0 ",
        "7ffff7e00000-7ffff7f00000 ---p 00000000 00:00 0 ",
        "7ffff7fc0000-7ffff7fc2000 r-xp 00000000 00:00 0                          [vdso]",
        "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
        "",
      ].join("\n"),
    );
  });

  it("has another process's mappings as far as the host knows them, and nothing of its monitor", async () => {
    assert.equal(
      await filter("maps", hostMaps),
      [
        "00400000-00401000 r--p 00000000 fe:00 99                                 /tmp/fixed address",
        "555555554000-555555556000 r--p 00000000 fe:00 247278                     /usr/bin/cat",
        "555555556000-55555555d000 r--p 00002000 fe:00 247278                     /usr/bin/cat",
        "55555555d000-55555557f000 rw-p 00000000 00:00 0 ",
        "7ffff7c00000-7ffff7d00000 rw-p 00000000 00:00 0 ",
        "7fffffede000-7ffffffff000 rw-p 00000000 00:00 0 ",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
        "",
      ].join("\n"),
    );
  });

  const hostSmaps = [
    "155555554000-155555558000 r--p 00000000 fe:00 5                          /bin/a\n",
    figures(16, 12, "rd mr mw me"),
    "7ee5a7a15000-7ee5a7a17000 rw-p 00000000 00:00 0 \n",
    figures(8, 8, "rd wr mr mw me ac"),
  ].join("");

  it("has figures in smaps that add up to the host's", async () => {
    assert.equal(
      await filter("smaps", hostSmaps, ["555555554000-555555556000:r-:", "555555556000-555555558000:rx:"]),
      [
        "555555554000-555555556000 r--p 00000000 fe:00 5                          /bin/a\n",
        figures(8, 8, "rd mr mw me"),
        "555555556000-555555558000 r-xp 00002000 fe:00 5                          /bin/a\n",
        figures(8, 4, "rd ex mr mw me"),
      ].join(""),
    );
  });

  it("has the sum of its own mappings alone in smaps_rollup", async () => {
    assert.equal(
      await filter("smaps_rollup", hostSmaps, ["555555554000-555555558000:rx:"]),
      [
        "555555554000-555555558000 ---p 00000000 00:00 0                          [rollup]",
        "Rss:                  12 kB",
        "",
      ].join("\n"),
    );
  });

  it("has its own addresses in numa_maps", async () => {
    assert.equal(
      await filter(
        "numa_maps",
        "155555554000 default file=/bin/a mapped=2 N0=2\n7ee5a7a15000 default anon=1\n",
      ),
      "555555554000 default file=/bin/a mapped=2 N0=2\n",
    );
  });

  it("has its own sizes, signals and filters in status", async () => {
    const host = [
      "Name:\tcat",
      "FDSize:\t4096",
      "VmPeak:\t   30000 kB",
      "VmSize:\t   29000 kB",
      "VmHWM:\t    5000 kB",
      "VmRSS:\t    4000 kB",
      "RssAnon:\t    1500 kB",
      "RssFile:\t    2500 kB",
      "VmData:\t   20000 kB",
      "VmStk:\t     132 kB",
      "VmExe:\t    1000 kB",
      "VmLib:\t       8 kB",
      "Threads:\t3",
      "SigBlk:\tfffffffe7ffbfeff",
      "SigIgn:\t0000000000000000",
      "SigCgt:\t00000001800004c0",
      "NoNewPrivs:\t1",
      "Seccomp:\t2",
      "Seccomp_filters:\t1",
      "",
    ].join("\n");
    const guest = [
      "Name:\tcat",
      "FDSize:\t256",
      "VmPeak:\t    4072 kB",
      "VmSize:\t    3072 kB",
      "VmHWM:\t    3000 kB",
      "VmRSS:\t    2000 kB",
      "RssAnon:\t     500 kB",
      "RssFile:\t    1500 kB",
      "VmData:\t     400 kB",
      "VmStk:\t     132 kB",
      "VmExe:\t      20 kB",
      "VmLib:\t    1528 kB",
      "Threads:\t2",
      "SigBlk:\t0000000000000002",
      "SigIgn:\t0000000000001000",
      "SigCgt:\t0000000000004000",
      "NoNewPrivs:\t0",
      "Seccomp:\t0",
      "Seccomp_filters:\t0",
      "",
    ].join("\n");
    const hex = (name: string, value: number) => `${name}=${value.toString(16)}`;
    assert.equal(
      await filter("status", host, [
        hex("size", 3072 << 10),
        hex("data", 400 << 10),
        hex("stack", 132 << 10),
        hex("text", 20 << 10),
        hex("libraries", 1528 << 10),
        hex("monitor_anonymous", 1000 << 10),
        hex("monitor_file", 1000 << 10),
        hex("threads", 2),
        hex("blocked", 2),
        hex("ignored", 0x1000),
        hex("caught", 0x4000),
      ]),
      guest,
    );
  });

  it("has its own addresses in stat, whatever the program's name is", async () => {
    const before = "7 (a) b) R 1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 3 0 999";
    const code = [0x155555556000, 0x15555555a000, 0x3ffffffe0000].join(" ");
    const data = [0x15555555d000, 0x15555555e000, 0x15555555f000].join(" ");
    const args = [0x3ffffffe1000, 0x3ffffffe1010, 0x7ffc3d716000, 0x3ffffffe2000].join(" ");
    const host = `${before} 30000000 900 18446744073709551615 ${code} 0 0 0 2147483647 0 0 0 0 0 17 0 0 0 0 0 0 ${data} ${args} 0\n`;
    const shift = 2 ** 46;
    const guestCode = [0x155555556000 + shift, 0x15555555a000 + shift, 0x3ffffffe0000 + shift].join(" ");
    const guestData = [0x15555555d000 + shift, 0x15555555e000 + shift, 0x15555555f000 + shift].join(" ");
    const guestArgs = [0x3ffffffe1000 + shift, 0x3ffffffe1010 + shift, 0, 0x3ffffffe2000 + shift].join(" ");
    assert.equal(
      await filter("stat", host, [
        "size=5000000",
        "monitor_file=100000",
        "threads=1",
        "blocked=4",
        "ignored=8",
        "caught=10",
      ]),
      `7 (a) b) R 1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 999 83886080 644 18446744073709551615 ${guestCode} 0 0 0 4 8 16 0 0 0 17 0 0 0 0 0 0 ${guestData} ${guestArgs} 0\n`,
    );
  });

  it("has its own sizes in statm", async () => {
    assert.equal(
      await filter("statm", "30000 1000 600 300 0 5000 0\n", [
        "size=300000",
        "text=5000",
        "data=64000",
        "stack=21000",
        "monitor_file=c8000",
        "monitor_anonymous=64000",
      ]),
      "768 700 400 5 0 133 0\n",
    );
  });

  it("has its own limits in limits", async () => {
    const line = (name: string, soft: string, hard: string, unit: string) =>
      `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit.padEnd(10)}\n`;
    assert.equal(
      await filter(
        "limits",
        line("Limit", "Soft Limit", "Hard Limit", "Units") +
          line("Max open files", "5120", "1048576", "files") +
          line("Max processes", "77092", "77092", "processes"),
      ),
      line("Limit", "Soft Limit", "Hard Limit", "Units") +
        line("Max open files", "1024", "unlimited", "files") +
        line("Max processes", "77092", "77092", "processes"),
    );
  });
});
