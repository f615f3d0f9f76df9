import assert from "node:assert/strict";
import { readlink } from "node:fs/promises";
import { check } from "../harness/command.js";
import { NetworkNamespace } from "../harness/network-namespace.js";
import { ContractContainerd } from "./client.js";

describe("what a specification says of a container's surroundings", () => {
  it("holds: oomScoreAdj, sysctl, propagation, additional groups, limits, noNewPrivileges", async () => {
    await using containerd = await ContractContainerd.start();
    const script = [
      "cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax",
      "awk '$5 == \"/mnt\" { print ($7 ~ /^shared:/) }' /proc/self/mountinfo",
      "id -G; ulimit -Sc; ulimit -Hc; ulimit -Sn; grep NoNewPrivs /proc/self/status; umask",
    ].join("; ");
    const result = await containerd.run({
      args: ["sh", "-c", script],
      change: ({ process, linux, mounts }) => {
        mounts.push({
          destination: "/mnt",
          type: "bind",
          source: "/var/tmp",
          options: ["rbind", "ro", "rshared"],
        });
        Object.assign(process, { oomScoreAdj: 321, noNewPrivileges: true });
        Object.assign(process.user, { additionalGids: [0, 7, 4321], umask: 0o27 });
        process.rlimits.push({ type: "RLIMIT_CORE", soft: 512, hard: 1024 });
        Object.assign(linux, {
          rootfsPropagation: "shared",
          sysctl: { "net.ipv4.ip_unprivileged_port_start": "77", "kernel.msgmax": "9000" },
        });
      },
    });
    assert.deepEqual(result, {
      status: 0,
      stdout: "321\n77\n9000\n1\n0 7 4321\n1\n2\n1024\nNoNewPrivs:\t1\n0027\n",
      stderr: "",
    });
  });

  it("holds: limits of memory, files, locks, signals and time, which are the program's alone", async () => {
    await using containerd = await ContractContainerd.start();
    const script = [
      "grep -E '^Max (address|data|locked|resident|pending|cpu|file size)' /proc/self/limits",
      "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $?",
      "head -c 5000 /dev/zero >/tmp/file; echo $?; wc -c </tmp/file",
      "sh -c 'while :; do :; done'; echo $?",
      "kill -USR1 $$; sleep 0; echo end",
    ].join("; ");
    const result = await containerd.run({
      args: ["sh", "-c", `trap 'echo signal' USR1; ${script}`],
      change: ({ process }) => {
        for (const [name, soft, hard] of [
          ["AS", 40_000_000, 50_000_000],
          ["DATA", 20_000_000, 30_000_000],
          ["MEMLOCK", 0, 0],
          ["RSS", 1000, 2000],
          ["SIGPENDING", 0, 0],
          ["CPU", 1, 3],
          ["FSIZE", 3000, 4000],
        ] as const)
          process.rlimits.push({ type: `RLIMIT_${name}`, soft, hard });
      },
    });
    assert.deepEqual(
      { ...result, stdout: result.stdout.replace(/ +/g, " ").split("\n") },
      {
        status: 0,
        stdout: [
          "Max cpu time 1 3 seconds ",
          "Max file size 3000 4000 bytes ",
          "Max data size 20000000 30000000 bytes ",
          "Max resident set 1000 2000 bytes ",
          "Max locked memory 0 0 bytes ",
          "Max address space 40000000 50000000 bytes ",
          "Max pending signals 0 0 signals ",
          "1",
          "153",
          "3000",
          "152",
          "signal",
          "end",
          "",
        ],
        stderr: "File size limit exceeded\nCPU time limit exceeded\n",
      },
    );
  });

  it("holds: a network that is there already", async () => {
    await using network = await NetworkNamespace.create();
    const { stdout } = await check(network.command("readlink", "/proc/self/ns/net"));
    await using containerd = await ContractContainerd.start();
    const result = await containerd.run({
      args: ["readlink", "/proc/self/ns/net"],
      change: ({ linux }) => {
        for (const namespace of linux.namespaces)
          if (namespace.type === "network") namespace.path = `/run/netns/${network.name}`;
      },
    });
    assert.deepEqual(result, { status: 0, stdout, stderr: "" });
  });

  it("holds: another container's processes, which may be seen and signalled", async () => {
    await using containerd = await ContractContainerd.start();
    const first = await containerd.container({ args: ["sleep", "4321"], streams: "none" });
    const pid = await first.create();
    const waiting = first.wait();
    await first.start();
    const join = { pid: `/proc/${pid}/ns/pid`, ipc: `/proc/${pid}/ns/ipc`, uts: `/proc/${pid}/ns/uts` };
    const expected = await Promise.all(Object.values(join).map((path) => readlink(path)));
    const own = "for name in pid ipc uts; do readlink /proc/self/ns/$name; done";
    const script = `${own}; tr '\\0' ' ' </proc/1/cmdline; kill -0 1; echo $?; hostname`;
    const result = await containerd.run({
      args: ["sh", "-c", script],
      change: ({ linux }) => {
        for (const namespace of linux.namespaces) {
          const path = join[namespace.type as keyof typeof join] as string | undefined;
          if (path !== undefined) namespace.path = path;
        }
      },
    });
    assert.equal(result.status, 0, result.stderr);
    const lines = result.stdout.split("\n");
    assert.deepEqual(lines.slice(0, 4), [...expected, "sleep 4321 0"]);
    await first.kill(9);
    assert.equal((await waiting).exitStatus, 137);
  });
});
