import assert from "node:assert/strict";
import { parseLossless, stringifyLossless } from "../../../../oci/lossless.js";
import { fieldsOf, type Fields } from "../../../../runtime/jail/fields.js";
import { jailProcess, jailSpecification } from "../../../../runtime/jail/specification.js";

const UNLIMITED = 18_446_744_073_709_551_615n;
const limits = {
  stack: { soft: 8_388_608n, hard: UNLIMITED },
  descriptors: { soft: 1024n, hard: 4096n },
  addressSpace: { soft: UNLIMITED, hard: UNLIMITED },
  data: { soft: UNLIMITED, hard: UNLIMITED },
  mayRaise: true,
};
const tuning = { exitless: "off", hugePages: "auto", codeStore: 64 } as const;
const options = { limits, forkStrategy: "auto", tuning, translators: false } as const;

function parse(text: string): Fields {
  const fields = fieldsOf(parseLossless(text));
  assert.ok(fields);
  return fields;
}

const whole = `{
  "ociVersion":"1.0.2","unknown":{"kept":18446744073709551615,"as":1.50},
  "process":{"terminal":false,"user":{"uid":1000,"gid":1001,"additionalGids":[5,6]},"args":["sh","-c","true"],
    "env":["PATH=/old","A=1","PATH=/bin:/usr/bin"],"cwd":"/work","capabilities":{"bounding":["CAP_KILL"]},
    "rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1000},{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}],
    "noNewPrivileges":false},
  "root":{"path":"rootfs"},
  "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/x"}],
    "cgroupsPath":"system.slice:tine:id","seccomp":{"defaultAction":"SCMP_ACT_ALLOW"},"maskedPaths":["/proc/kcore"]}
}`;

describe("a container's specification, made into the jail's", () => {
  it("differs in the process and the seccomp profile alone, and loses no number", () => {
    const jail = jailSpecification(parse(whole), options);
    const text = stringifyLossless(jail.specification).replaceAll(/:18446744073709551615\b(?!")/g, ':"all"');
    assert.deepEqual(JSON.parse(text), {
      ociVersion: "1.0.2",
      unknown: { kept: "all", as: 1.5 },
      process: {
        terminal: false,
        user: { uid: 1000, gid: 1001, additionalGids: [5, 6] },
        args: [
          "/proc/self/fd/3",
          "--jailed",
          "--kvm-fd=4",
          "--log-fd=5",
          `--rlimit-stack=8388608:${UNLIMITED}`,
          "--rlimit-nofile=1000:1024",
          "--exitless=off",
          "--huge-pages=auto",
          "--code-store=64",
          "--seccomp-fd=6",
          "--",
          "sh",
          "-c",
          "true",
        ],
        env: ["PATH=/old", "A=1", "PATH=/bin:/usr/bin"],
        cwd: "/work",
        capabilities: { bounding: ["CAP_KILL"] },
        rlimits: [
          { type: "RLIMIT_CORE", hard: "all", soft: 0 },
          { type: "RLIMIT_STACK", soft: 8388608, hard: "all" },
          { type: "RLIMIT_NOFILE", soft: 5120, hard: 5120 },
        ],
        noNewPrivileges: true,
      },
      root: { path: "rootfs" },
      linux: {
        namespaces: [{ type: "pid" }, { type: "network", path: "/run/netns/x" }],
        cgroupsPath: "system.slice:tine:id",
        maskedPaths: ["/proc/kcore"],
      },
    });
  });

  it("keeps what the original says apart: it is not changed", () => {
    const original = parse(whole);
    const before = stringifyLossless(original);
    jailSpecification(original, options);
    assert.equal(stringifyLossless(original), before);
  });

  it("says what has to be known of the container", () => {
    const { program, seccompProfile, ownPidNamespace, systemdCgroup } = jailSpecification(
      parse(whole),
      options,
    );
    assert.deepEqual(
      { program, seccompProfile, ownPidNamespace, systemdCgroup },
      {
        program: {
          name: "sh",
          workingDirectory: "/work",
          path: "/bin:/usr/bin",
          credentials: { user: 1000, group: 1001, groups: [5, 6] },
        },
        seccompProfile: { defaultAction: "SCMP_ACT_ALLOW" },
        ownPidNamespace: true,
        systemdCgroup: true,
      },
    );
  });

  it("tells a joined pid namespace from a new one, and a path from systemd's slice:prefix:name", () => {
    const jail = jailSpecification(
      parse(
        '{"process":{"args":["a"]},"linux":{"namespaces":[{"type":"pid","path":"/proc/7/ns/pid"}],"cgroupsPath":"/default/id"}}',
      ),
      options,
    );
    assert.deepEqual([jail.ownPidNamespace, jail.systemdCgroup], [false, false]);
  });

  it("leaves a process without arguments to runc, who refuses it in words of its own", () => {
    const jail = jailSpecification(parse('{"process":{"args":[],"cwd":"/"}}'), options);
    assert.deepEqual([jail.program, jail.specification], [undefined, { process: { args: [], cwd: "/" } }]);
  });

  it("looks for a program with the host's numbers of a user namespace, root's excepted", () => {
    const mappings = { users: [{ container: 0, host: 100_000, size: 65_536 }], groups: [] };
    const credentials = [0, 1000].map(
      (uid) =>
        jailProcess({ args: ["a"], user: { uid, gid: 0 } }, { ...options, seccomp: false }, mappings).program
          ?.credentials.user,
    );
    assert.deepEqual(credentials, [0, 101_000]);
  });

  it("hands on a fork strategy that somebody chose, and translators behind the seccomp program", () => {
    const chosen = { limits, tuning, forkStrategy: "region-copy", translators: true } as const;
    const ends = [false, true].map((seccomp) => {
      const { process } = jailProcess({ args: ["a"] }, { ...chosen, seccomp }, { users: [], groups: [] });
      return (process["args"] as string[]).slice(-4);
    });
    assert.deepEqual(ends, [
      ["--translators-fd=6", "--fork=region-copy", "--", "a"],
      ["--translators-fd=7", "--fork=region-copy", "--", "a"],
    ]);
  });
});
