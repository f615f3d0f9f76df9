import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandResult, type Talk } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId, runc, tine } from "../harness/ctr.js";
import { busyboxImage, debianImage, unpackImage, type TestImage } from "../harness/image.js";

/** A run of `ctr run` that has to give the same under runc and Tine. */
interface Case {
  readonly title: string;
  readonly flags?: readonly string[];
  readonly command: readonly string[];
  readonly input?: string;
  /** The image with a C library, python3 and bash; busybox unless set. */
  readonly debian?: boolean;
}

function sh(script: string): string[] {
  return ["sh", "-c", script];
}

const cases: readonly Case[] = [
  { title: "the program's output, errors and status", command: sh("echo out; echo err >&2; exit 5") },
  { title: "death by a signal", command: sh("kill -KILL $$; sleep 5") },
  { title: "a child's death by a signal", command: sh("sh -c 'kill -SEGV $$'; echo $?") },
  { title: "standard input", command: ["tr", "a-z", "A-Z"], input: "from outside\n" },
  { title: "an empty standard input", command: ["wc", "-c"], input: "" },
  { title: "a program that is not there", command: ["no-such-program"] },
  { title: "a program that cannot be executed", command: ["/etc/passwd"] },
  { title: "a folder as program", command: ["/etc"] },
  { title: "--env", flags: ["--env", "A=b c", "--env", "EMPTY="], command: ["env"] },
  { title: "--cwd", flags: ["--cwd", "/var/tmp"], command: sh("pwd; readlink /proc/self/cwd") },
  {
    title: "--user with numbers",
    flags: ["--user", "1000:2000"],
    command: sh("id; touch /x; cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap)'"),
  },
  { title: "--user with a name", flags: ["--user", "nobody"], command: ["id"] },
  {
    title: "--read-only",
    flags: ["--read-only"],
    command: sh("touch /x; echo $?; touch /dev/shm/x; echo $?"),
  },
  {
    title: "--cap-drop and --cap-add",
    flags: ["--cap-drop", "CAP_CHOWN", "--cap-add", "CAP_SYS_TIME"],
    command: sh("grep Cap /proc/self/status; chown 5 /tmp; echo $?"),
  },
  {
    title: "no signals blocked or ignored",
    command: ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"],
  },
  { title: "the default capabilities", command: sh("grep -E '^(Cap|NoNewPrivs)' /proc/self/status") },
  {
    title: "a mount of tmpfs",
    flags: ["--mount", "type=tmpfs,src=tmpfs,dst=/mnt,options=size=1m:nosuid"],
    command: sh("grep ' /mnt ' /proc/mounts; df -k /mnt | tail -n 1 | awk '{print $2}'"),
  },
  {
    title: "--memory-limit",
    flags: ["--memory-limit", "67108864"],
    command: sh(
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max",
    ),
  },
  {
    title: "its own namespaces",
    command: sh("echo $$; hostname; ls /sys/class/net; set -- /proc/[0-9]*; echo $#"),
  },
  { title: "a host name of its own", flags: ["--privileged"], command: sh("hostname inside && hostname") },
  {
    title: "masked and read-only paths",
    command: sh("cat /proc/kcore | head -c 1 | wc -c; echo 1 > /proc/sys/kernel/sysrq; echo $?"),
  },
  {
    title: "devices",
    command: sh("ls -l /dev | awk '{print $1, $NF}' | sort; head -c 4 /dev/zero | od -An -tx1"),
  },
  { title: "limits", command: sh("ulimit -n; ulimit -Hn; ulimit -s; ulimit -v; ulimit -l") },
  { title: "mounts", command: sh("awk '{print $2, $3, $4}' /proc/mounts | grep -v '^/ ' | sort") },
  { title: "a pipeline", command: sh("seq 1 1000 | grep 7 | sort -r | head -n 3") },
  {
    title: "background jobs and wait",
    command: sh("for i in 1 2 3; do (sleep 0.1; exit $i) & done; wait $!; echo $?; wait"),
  },
  {
    title: "orphans that pid 1 reaps or leaves",
    command: sh("(sh -c 'sleep 0.1; echo orphan; : >/o' &); until [ -e /o ]; do sleep 0.1; done; echo end"),
  },
  {
    title: "files written and read",
    command: sh(
      "mkdir /tmp/d && cp /etc/passwd /tmp/d/a && ln -s a /tmp/d/b && cat /tmp/d/b && rm -r /tmp/d && ls /tmp",
    ),
  },
  {
    title: "--seccomp",
    flags: ["--seccomp"],
    command: sh("grep -E '^Seccomp:' /proc/self/status; unshare -U true; echo $?; mkdir /tmp/x; echo $?"),
    debian: true,
  },
  {
    title: "python3: threads, subprocesses, sockets",
    command: [
      "python3",
      "-c",
      "import threading,subprocess,socket\na,b=socket.socketpair()\nt=threading.Thread(target=lambda:b.sendall(b'hi'))\nt.start();t.join()\nprint(a.recv(2), subprocess.run(['false']).returncode)",
    ],
    debian: true,
  },
  {
    title: "bash: traps, here documents, process substitution",
    command: [
      "bash",
      "-c",
      "trap 'echo bye' EXIT; cat <(echo sub) <<<unused; diff <(seq 3) <(seq 4); exit 4",
    ],
    debian: true,
  },
];

/** What differs by nature: the id, and how ctr's own messages are dated. */
function comparable({ status, stdout, stderr }: CommandResult, id: string): CommandResult {
  const clean = (text: string): string => text.replaceAll(id, "ID").replace(/time="[^"]*"/g, "TIME");
  return { status, stdout: clean(stdout), stderr: clean(stderr) };
}

describe("ctr run gives under Tine what it gives under runc:", () => {
  let containerd: PrivateContainerd;
  let ctr: Ctr;
  let busybox: TestImage;
  let debian: TestImage;

  before(async function () {
    this.timeout(600_000);
    containerd = await PrivateContainerd.start({ keepImages: true });
    ctr = new Ctr(containerd);
    busybox = await busyboxImage();
    debian = await debianImage();
    await ctr.import(busybox);
    await ctr.import(debian);
  });

  after(async () => {
    await containerd.stop();
  });

  /**
   * `ctr run` with input, which ends after the start: containerd 1.6's ctr forgets to close the container's input
   * when its own ends before the task is there.
   */
  function runWithInput(id: string, arguments_: readonly string[], input: string): Promise<CommandResult> {
    const talk = async (program: Talk): Promise<void> => {
      program.write(input);
      const state = new RegExp(`^${id} +\\d+ +(RUNNING|STOPPED)`, "m");
      while (!program.ended && !state.test((await ctr.capture(["task", "ls"])).stdout)) await sleep(50);
    };
    return ctr.capture(arguments_, { talk, limit: 120_000 });
  }

  async function both(
    image: TestImage | string,
    command: readonly string[],
    flags: readonly string[],
    input?: string,
  ) {
    const results: CommandResult[] = [];
    for (const runtime of [runc, tine]) {
      const id = freshId("like");
      const run = ctr.runArguments(image, command, { runtime, id, flags: ["--rm", ...flags] });
      const result =
        input === undefined ? await ctr.capture(run, { limit: 120_000 }) : await runWithInput(id, run, input);
      results.push(comparable(result, id));
    }
    return results;
  }

  for (const { title, flags = [], command, input, debian: needsDebian } of cases) {
    it(title, async () => {
      const [expected, actual] = await both(needsDebian ? debian : busybox, command, flags, input);
      assert.deepEqual(actual, expected);
    });
  }

  it("a bind mount, written from inside", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tine-mount-"));
    try {
      await writeFile(join(folder, "given"), "given\n");
      const flags = ["--mount", `type=bind,src=${folder},dst=/given,options=rbind:rw`];
      const script = "cat /given/*; rm -f /given/made; echo made > /given/made; ls -l /given | wc -l";
      const [expected, actual] = await both(busybox, sh(script), flags);
      assert.deepEqual(actual, { ...expected, stdout: "given\nmade\n3\n" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("programs that the kernel will not execute", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tine-mount-"));
    try {
      const files = { zeros: Buffer.alloc(40), interpreter: "#!/no/such\n", empty: "#!\n", cut: "\x7fELF" };
      for (const [name, content] of Object.entries(files)) {
        await writeFile(join(folder, name), content, { mode: 0o755 });
        const flags = ["--mount", `type=bind,src=${folder},dst=/given,options=rbind:ro`];
        const [expected, actual] = await both(busybox, [`/given/${name}`], flags);
        assert.deepEqual(actual, expected);
        assert.match(actual?.stderr ?? "", /^exec \/given/);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("signals from outside that a first process leaves at their default", async () => {
    const states: string[] = [];
    for (const runtime of [runc, tine]) {
      const id = freshId("like");
      await ctr.check(ctr.runArguments(busybox, ["sleep", "1000"], { runtime, id, flags: ["--detach"] }));
      for (const signal of ["SEGV", "BUS", "ABRT", "TERM", "USR1"]) {
        await ctr.check(["task", "kill", "--signal", signal, id]);
      }
      const asked = await ctr.check(["task", "exec", "--exec-id", freshId("e"), id, "ps"]);
      states.push(asked.stdout.replace(/^ +/gm, ""));
      await ctr.check(["task", "kill", "--signal", "KILL", id]);
      await ctr.check(["task", "delete", "--force", id]);
      await ctr.check(["containers", "delete", id]);
    }
    const [expected, actual] = states;
    assert.equal(actual?.split("\n")[1], expected?.split("\n")[1]);
    assert.match(actual ?? "", /sleep 1000/);
  });

  it("--rootfs: a folder as root, and files left in it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tine-rootfs-"));
    try {
      await unpackImage(busybox, folder);
      const [expected, actual] = await both(folder, sh("rm -f /left; ls /; echo here > /left"), ["--rootfs"]);
      assert.deepEqual(actual, expected);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("a seccomp profile with an errno of its own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tine-seccomp-"));
    try {
      const profile = join(folder, "profile.json");
      const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 };
      await writeFile(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] }));
      const [expected, actual] = await both(
        busybox,
        ["mkdir", "/tmp/x"],
        ["--seccomp", "--seccomp-profile", profile],
      );
      assert.deepEqual(actual, expected);
      assert.match(actual?.stderr ?? "", /No space left on device/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
