import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { RuntimeError } from "../../../../runtime/errors.js";
import { compileSeccompProfile } from "../../../../runtime/jail/seccomp.js";
import { systemCallNumber } from "../../../../runtime/jail/seccomp-numbers.js";
import { capture } from "../../../harness/command.js";
import { compileNative } from "../../native/compile.js";
import { judge, runProgram, type Call } from "./seccomp-model.js";

const KILL = { kind: "kill" } as const;
const ALLOW = { kind: "allow" } as const;
const errno = (value: number) => ({ kind: "errno", value }) as const;

function numberOf(name: string): number {
  const number = systemCallNumber(name, "x86_64");
  assert.ok(number !== undefined, name);
  return number;
}

function callOf(name: string, ...args: (number | bigint)[]): Call {
  return {
    number: numberOf(name),
    architecture: 0xc000003e,
    args: [0, 1, 2, 3, 4, 5].map((index) => BigInt(args[index] ?? 0)),
  };
}

/** In the shape of the profile that Docker and containerd write. */
const usual = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  syscalls: [
    {
      names: [
        "read",
        "write",
        "close",
        "openat",
        "mmap",
        "exit_group",
        "execve",
        "getpid",
        "futex_waitv",
        "arm_sync",
      ],
      action: "SCMP_ACT_ALLOW",
    },
    { names: ["socket"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 40, op: "SCMP_CMP_NE" }] },
    { names: ["personality"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 0, op: "SCMP_CMP_EQ" }] },
    {
      names: ["personality"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 0x20008, op: "SCMP_CMP_EQ" }],
    },
    {
      names: ["personality"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 0xffffffffn, op: "SCMP_CMP_EQ" }],
    },
    {
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    },
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
    { names: ["ptrace"], action: "SCMP_ACT_KILL_PROCESS" },
  ],
};

describe("a seccomp profile made into BPF", () => {
  it("gives what Docker's profile gives", () => {
    const { program, unknownNames } = compileSeccompProfile(usual, { architecture: "x86_64" });
    const given = (name: string, ...args: (number | bigint)[]) => runProgram(program, callOf(name, ...args));
    assert.deepEqual(unknownNames, ["arm_sync"]);
    assert.deepEqual(
      {
        read: given("read"),
        mount: given("mount"),
        vsock: given("socket", 40),
        inet: given("socket", 2),
        "socket whose high word differs": given("socket", 40n + (1n << 32n)),
        "personality 0": given("personality", 0),
        "personality query": given("personality", 0xffffffff),
        "personality 1": given("personality", 1),
        "clone of a process": given("clone", 17),
        "clone of a user namespace": given("clone", 0x10000000),
        clone3: given("clone3"),
        ptrace: given("ptrace"),
        "a call newer than all named": given("setxattrat"),
      },
      {
        read: ALLOW,
        mount: errno(1),
        vsock: errno(1),
        inet: ALLOW,
        "socket whose high word differs": ALLOW,
        "personality 0": ALLOW,
        "personality query": ALLOW,
        "personality 1": errno(1),
        "clone of a process": ALLOW,
        "clone of a user namespace": errno(1),
        clone3: errno(38),
        ptrace: KILL,
        "a call newer than all named": errno(38),
      },
    );
  });

  it("treats other architectures as foreign, and x32 as listed", () => {
    const profile = { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] };
    const foreign = { ...callOf("read"), architecture: 0x40000003 };
    const x32 = { ...callOf("read"), number: 0x40000000 };
    const { program } = compileSeccompProfile(profile, { architecture: "x86_64" });
    assert.deepEqual(
      [runProgram(program, callOf("read")), runProgram(program, foreign), runProgram(program, x32)],
      [ALLOW, KILL, KILL],
    );
    const listed = compileSeccompProfile(usual, { architecture: "x86_64" }).program;
    assert.deepEqual([runProgram(listed, x32), runProgram(listed, foreign)], [ALLOW, KILL]);
  });

  it("uses arm64's numbers for arm64", () => {
    const profile = {
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW" }],
    };
    const { program } = compileSeccompProfile(profile, { architecture: "aarch64" });
    const call = { architecture: 0xc00000b7, args: [0n, 0n, 0n, 0n, 0n, 0n] };
    assert.deepEqual(
      [63, 0, 64].map((number) => runProgram(program, { ...call, number })),
      [ALLOW, errno(1), errno(38)],
    );
  });

  it("makes conditions on the same argument alternatives, and lets a rule without conditions win", () => {
    const { program } = compileSeccompProfile(
      {
        defaultAction: "SCMP_ACT_ERRNO",
        syscalls: [
          {
            names: ["ioctl"],
            action: "SCMP_ACT_ALLOW",
            args: [
              { index: 1, value: 5, op: "SCMP_CMP_EQ" },
              { index: 1, value: 7, op: "SCMP_CMP_EQ" },
            ],
          },
          { names: ["dup"], action: "SCMP_ACT_LOG", args: [{ index: 0, value: 3, op: "SCMP_CMP_GT" }] },
          { names: ["dup"], action: "SCMP_ACT_ALLOW" },
        ],
      },
      { architecture: "x86_64" },
    );
    assert.deepEqual(
      [callOf("ioctl", 0, 5), callOf("ioctl", 0, 7), callOf("ioctl", 0, 6), callOf("dup", 9)].map((call) =>
        runProgram(program, call),
      ),
      [ALLOW, ALLOW, errno(1), ALLOW],
    );
  });

  it("compares any argument as the profile says", () => {
    const words = fc.oneof(
      fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
      fc.constantFrom(
        0n,
        1n,
        0xffff_ffffn,
        0x1_0000_0000n,
        0x1_0000_0001n,
        0xffff_ffff_ffff_ffffn,
        0x8000_0000n,
      ),
    );
    const condition = fc.record({
      index: fc.integer({ min: 0, max: 5 }),
      value: words,
      valueTwo: words,
      op: fc.constantFrom(
        "SCMP_CMP_NE",
        "SCMP_CMP_LT",
        "SCMP_CMP_LE",
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_MASKED_EQ",
      ),
    });
    const names = fc.constantFrom(
      "read",
      "write",
      "open",
      "ioctl",
      "socket",
      "clone",
      "getpid",
      "no_such_call",
    );
    const rule = fc.record({
      names: fc.array(names, { minLength: 1, maxLength: 3 }),
      action: fc.constantFrom(
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_KILL",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_LOG",
      ),
      args: fc.array(condition, { maxLength: 3 }),
    });
    const profiles = fc.record({
      defaultAction: fc.constantFrom("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL"),
      architectures: fc.constant(["SCMP_ARCH_X86_64"]),
      syscalls: fc.array(rule, { maxLength: 8 }),
    });
    fc.assert(
      fc.property(
        profiles,
        fc.constantFrom("read", "write", "open", "ioctl", "socket", "clone", "getpid", "mount", "openat2"),
        fc.array(words, { minLength: 6, maxLength: 6 }),
        fc.nat(),
        (profile, name, args, pick) => {
          // Arguments near what is compared with find more than random ones.
          const compared = profile.syscalls.flatMap((entry) => entry.args);
          const near = compared[pick % (compared.length + 1)];
          if (near !== undefined) {
            args[near.index] = near.value;
          }
          const { program } = compileSeccompProfile(profile, { architecture: "x86_64" });
          const call = callOf(name, ...args);
          assert.deepEqual(runProgram(program, call), judge(profile, call));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("is what the kernel makes of it too", async function () {
    this.timeout(180_000);
    const probe = await compileNative("bpf_kernel", ["seccomp/bpf.cc"]);
    const folder = await mkdtemp(join(tmpdir(), "tine-seccomp-"));
    try {
      const { program } = compileSeccompProfile(usual, { architecture: "x86_64" });
      await writeFile(join(folder, "program"), program);
      // Kernels with uretprobe and uprobe (335, 336) let these two past every filter.
      const calls = [
        ...Array.from({ length: 470 }, (_, number) => ({ ...callOf("read"), number })).filter(
          (call) => ![335, 336].includes(call.number),
        ),
        ...[0, 2, 40, 41].map((family) => callOf("socket", family)),
        ...[0, 1, 8, 0x20008, 0xffffffff].map((value) => callOf("personality", value)),
        ...[17, 0x10000000, 0x00020000, 0x3d0f00].map((flags) => callOf("clone", flags)),
      ];
      const lines = calls.map((call) =>
        [call.number, ...call.args].map((value) => value.toString(16)).join(" "),
      );
      const { stdout } = await capture([probe, join(folder, "program")], { input: lines.join("\n") });
      const expected = calls.map((call) => {
        const verdict = judge(usual, call);
        const text = verdict.kind === "errno" ? `errno ${verdict.value}` : verdict.kind;
        return `${text}, ${text}`;
      });
      assert.deepEqual(stdout.trimEnd().split("\n"), expected);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("is short enough to be quick: a call of a large profile meets at most 24 instructions", () => {
    const names = Array.from({ length: 330 }, (_, number) => number)
      .filter((number) => number % 3 !== 0)
      .map((number) => nameOf(number))
      .filter((name) => name !== undefined);
    const { program } = compileSeccompProfile(
      {
        defaultAction: "SCMP_ACT_ERRNO",
        architectures: ["SCMP_ARCH_X86_64"],
        syscalls: [{ names, action: "SCMP_ACT_ALLOW" }],
      },
      { architecture: "x86_64" },
    );
    const steps = names.map((name) => {
      let count = 0;
      runProgram(program, callOf(name), () => (count += 1));
      return count;
    });
    assert.ok(Math.max(...steps) <= 24, `${Math.max(...steps)}`);
  });

  for (const [what, profile, code, message] of [
    [
      "an agent",
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"], action: "SCMP_ACT_NOTIFY" }] },
      "unimplemented",
      "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY needs a seccomp agent on the container's own system calls, which this runtime does not offer",
    ],
    ["no default", {}, "invalid-argument", "linux.seccomp.defaultAction is missing"],
    [
      "an unknown action",
      { defaultAction: "SCMP_ACT_SHRUG" },
      "invalid-argument",
      "linux.seccomp.defaultAction is unknown: SCMP_ACT_SHRUG",
    ],
    [
      "an errno that the action has no use for",
      { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 },
      "invalid-argument",
      "linux.seccomp.defaultAction has an errno, which SCMP_ACT_ALLOW does not take",
    ],
    [
      "a seventh argument",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          { names: ["read"], action: "SCMP_ACT_LOG", args: [{ index: 6, value: 0, op: "SCMP_CMP_EQ" }] },
        ],
      },
      "invalid-argument",
      "linux.seccomp.syscalls[0].args[0].index is not a number from 0 to 5",
    ],
    [
      "an unknown flag",
      { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_SHRUG"] },
      "invalid-argument",
      "linux.seccomp.flags has an unknown flag: SECCOMP_FILTER_FLAG_SHRUG",
    ],
    [
      "more than the kernel takes",
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: Array.from({ length: 1100 }, (_, value) => ({
          names: ["read"],
          action: "SCMP_ACT_LOG",
          args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
        })),
      },
      "invalid-argument",
      "linux.seccomp needs 5515 BPF instructions; the kernel takes 4096",
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => compileSeccompProfile(profile, { architecture: "x86_64" }),
        (error) => {
          assert.ok(error instanceof RuntimeError);
          assert.deepEqual({ code: error.code, message: error.message }, { code, message });
          return true;
        },
      );
    });
  }
});

/** A name with that x86-64 number, from those any profile may use. */
function nameOf(number: number): string | undefined {
  return namesByNumber.get(number);
}

const namesByNumber = new Map<number, string>(
  (
    "read write open close stat fstat lstat poll lseek mmap mprotect munmap brk ioctl pread64 pwrite64 readv writev " +
    "access pipe select mremap msync mincore madvise dup dup2 pause nanosleep alarm getpid sendfile socket connect " +
    "accept sendto bind listen clone fork vfork execve exit wait4 kill uname fcntl flock fsync truncate getcwd chdir " +
    "rename mkdir rmdir creat link unlink symlink chmod chown umask getuid ptrace syslog setuid getppid setsid " +
    "capget mount chroot sync gettid futex openat mkdirat unlinkat ppoll unshare splice tee dup3 pipe2 prlimit64"
  )
    .split(" ")
    .map((name) => [numberOf(name), name]),
);
