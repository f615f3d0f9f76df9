import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { pack } from "../../../shim/proto/any.js";
import { BootstrapParamsSchema, BootstrapResultSchema } from "../../../shim/proto/gen/bootstrap_pb.js";
import { OptionsSchema } from "../../../shim/proto/gen/runtimeoptions_pb.js";
import { capture, check, type CommandResult } from "../../harness/command.js";
import { programs } from "../../harness/paths.js";
import { makeLibrary, type Behaviour, type DaemonRecord } from "./fake-daemon.js";

const launcher = join(programs, "containerd-shim-tine-v2");

describe("containerd-shim-tine-v2 start", function () {
  this.timeout(120_000);
  let folder: string;
  let socketDirectory: string;
  let address: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-l-"));
    socketDirectory = join(folder, "sockets");
    address = join(folder, "containerd.sock");
    await behave("serve");
  });

  afterEach(async () => {
    for (const { pid } of await records()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        continue;
      }
    }
    await rm(folder, { recursive: true, force: true });
  });

  const behave = (behaviour: Behaviour): Promise<void> =>
    makeLibrary(join(folder, "js"), behaviour, join(folder, "records"));

  async function records(): Promise<DaemonRecord[]> {
    const text = await readFile(join(folder, "records"), "utf8").catch(() => "");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as DaemonRecord);
  }

  interface Start {
    id?: string;
    namespace?: string;
    annotations?: unknown;
    config?: string;
    environment?: Record<string, string>;
    input?: Buffer;
    flags?: string[];
  }

  /** Runs `start` in a new bundle, as containerd 2.3 and later do: that alone lets tests choose the sockets' place. */
  async function start(options: Start = {}): Promise<{ bundle: string; result: CommandResult }> {
    const id = options.id ?? "c1";
    const namespace = options.namespace ?? "n1";
    const bundle = join(folder, `bundle-${id}`);
    await mkdir(bundle, { recursive: true });
    const config = options.config ?? JSON.stringify({ annotations: options.annotations ?? {} });
    await writeFile(join(bundle, "config.json"), config);
    const params = create(BootstrapParamsSchema, { instanceId: id, namespace, socketDir: socketDirectory });
    const flags = ["-namespace", namespace, "-address", address, "-publish-binary", "/usr/bin/containerd"];
    const result = await capture([launcher, ...flags, "-id", id, ...(options.flags ?? []), "start"], {
      directory: bundle,
      environment: { PATH: process.env["PATH"], TINE_JS: join(folder, "js"), ...options.environment },
      input: options.input ?? Buffer.from(toBinary(BootstrapParamsSchema, params)),
      limit: 60_000,
    });
    return { bundle, result };
  }

  const socketOf = (...parts: string[]): string =>
    join(
      socketDirectory,
      createHash("sha256")
        .update([address, ...parts].join("/"))
        .digest("hex"),
    );

  it("starts a daemon, writes its address down and prints it", async () => {
    const { bundle, result } = await start();
    assert.deepEqual({ status: result.status, stderr: result.stderr }, { status: 0, stderr: "" });
    const socket = socketOf("n1");
    assert.deepEqual(
      fromBinary(BootstrapResultSchema, Buffer.from(result.stdout)),
      create(BootstrapResultSchema, { version: 3, address: `unix://${socket}`, protocol: "ttrpc" }),
    );
    assert.equal(await readFile(join(bundle, "address"), "utf8"), `unix://${socket}`);
    const file = await stat(socket);
    assert.deepEqual({ socket: file.isSocket(), mode: file.mode & 0o777 }, { socket: true, mode: 0o600 });
  });

  it("gives the daemon its arguments, descriptors, session and environment", async () => {
    const environment = {
      TTRPC_ADDRESS: "/run/events.sock",
      NODE_EXTRA_CA_CERTS: "/etc/ssl/certs/ca-certificates.crt",
      NODE_OPTIONS: "--inspect",
    };
    await start({ environment, flags: ["-debug"] });
    const [record] = await records();
    assert.ok(record);
    const expected = ["--namespace", "n1", "--address", address, "--publish-binary", "/usr/bin/containerd"];
    assert.deepEqual(record.arguments, [...expected, "--socket", socketOf("n1"), "--id", "c1", "--debug"]);
    assert.equal(record.directory, "/");
    assert.equal(record.environment["TTRPC_ADDRESS"], "/run/events.sock");
    assert.equal(record.environment["NODE_EXTRA_CA_CERTS"], undefined);
    assert.equal(record.environment["NODE_OPTIONS"], undefined);
    assert.deepEqual([record.session, record.group], [record.pid, record.pid]);
    const { 0: input, 1: output, 2: errors, 3: listener, 4: readiness } = record.descriptors;
    assert.deepEqual([input, output, errors], ["/dev/null", "/dev/null", "/dev/null"]);
    assert.match(listener ?? "", /^socket:/);
    assert.match(readiness ?? "", /^pipe:/);
    const ours = Number(await readFile("/proc/self/oom_score_adj", "utf8"));
    assert.equal(record.oomScore, Math.min(ours + 1, 1000));
  });

  it("puts the daemon's errors on the bundle's log, without waiting for a reader", async () => {
    const bundle = join(folder, "bundle-c1");
    await mkdir(bundle);
    await check(["mkfifo", join(bundle, "log")]);
    const log = await open(join(bundle, "log"), constants.O_RDWR | constants.O_NONBLOCK);
    try {
      assert.equal((await start()).result.status, 0);
      const { buffer, bytesRead } = await log.read();
      assert.equal(buffer.toString("utf8", 0, bytesRead), "started\n");
    } finally {
      await log.close();
    }
  });

  it("finds the running daemon again, for every container of the namespace", async () => {
    await start();
    for (const id of ["c2", "c3"]) {
      const { bundle, result } = await start({ id });
      assert.equal(result.status, 0, result.stderr);
      assert.equal(await readFile(join(bundle, "address"), "utf8"), `unix://${socketOf("n1")}`);
    }
    assert.equal((await records()).length, 1);
    await start({ namespace: "n2" });
    assert.equal((await records()).length, 2);
  });

  it("starts one daemon when many containers start at once", async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `c${index}`);
    const all = await Promise.all(ids.map((id) => start({ id })));
    assert.deepEqual(
      all.map(({ result }) => result.stderr),
      ids.map(() => ""),
    );
    assert.equal((await records()).length, 1);
  });

  it("starts one daemon for many at once where a dead one's socket lies", async () => {
    await leaveDeadSocket(socketOf("n1"));
    const ids = Array.from({ length: 12 }, (_, index) => `c${index}`);
    const all = await Promise.all(ids.map((id) => start({ id })));
    assert.deepEqual(
      all.map(({ result }) => result.stderr),
      ids.map(() => ""),
    );
    assert.equal((await records()).length, 1);
  });

  it("takes a daemon that does not know Hold as it is", async () => {
    await behave("serve without Hold");
    await start();
    assert.equal((await start({ id: "c2" })).result.status, 0);
    assert.equal((await records()).length, 1);
  });

  it("starts another daemon when the one that answers is leaving", async () => {
    await behave("answer Unavailable, then leave");
    await start();
    await behave("serve");
    const { result } = await start({ id: "c2" });
    assert.deepEqual({ status: result.status, stderr: result.stderr }, { status: 0, stderr: "" });
    assert.equal((await records()).length, 2);
  });

  it("prints the plain address when standard input is empty or runtime options", async () => {
    const socket = join(socketDirectory, "given");
    const flags = ["-socket", `unix://${socket}`];
    const options = pack(OptionsSchema, create(OptionsSchema, { typeUrl: "x" }));
    for (const input of [Buffer.alloc(0), Buffer.from(toBinary(AnySchema, options))]) {
      const { result } = await start({ flags, input });
      assert.deepEqual(result, { status: 0, stdout: `unix://${socket}`, stderr: "" });
    }
  });

  describe("grouping", () => {
    const pod = { "io.kubernetes.cri.sandbox-id": "sandbox" };
    const both = { ...pod, "io.containerd.runc.v2.group": "explicit" };
    const cases: [name: string, grouping: string | undefined, annotations: unknown, group: string[]][] = [
      ["namespace, no annotation", undefined, {}, []],
      ["namespace, pod", undefined, pod, ["sandbox"]],
      ["namespace, explicit group", "namespace", both, ["explicit"]],
      ["pod, no annotation", "pod", {}, ["c1"]],
      ["pod, pod", "pod", pod, ["sandbox"]],
      ["container, pod", "container", pod, ["c1"]],
      ["null annotations", undefined, null, []],
      [
        "an annotation that is no string",
        undefined,
        { "io.containerd.runc.v2.group": 3, ...pod },
        ["sandbox"],
      ],
    ];
    for (const [name, grouping, annotations, group] of cases) {
      it(`by ${name}`, async () => {
        const environment: Record<string, string> =
          grouping === undefined ? {} : { TINE_SHIM_GROUP: grouping };
        const config = JSON.stringify({ ociVersion: "1.0.2", process: { args: ['a\\"]}'] }, annotations });
        const { bundle, result } = await start({ config, environment });
        assert.equal(result.stderr, "");
        assert.equal(await readFile(join(bundle, "address"), "utf8"), `unix://${socketOf("n1", ...group)}`);
      });
    }

    it("is read from tine.toml, from the runtime options' file before the environment's", async () => {
      const toml =
        "# comment\n[log]\ngroup = \"namespace\"\n\n[shim] # here\n  group = 'container' # one each\n";
      await writeFile(join(folder, "one.toml"), toml);
      await writeFile(join(folder, "two.toml"), 'shim.group = "pod"\n');
      const environment = { TINE_CONFIG: join(folder, "one.toml") };
      const { bundle } = await start({ environment, annotations: pod });
      assert.equal(await readFile(join(bundle, "address"), "utf8"), `unix://${socketOf("n1", "c1")}`);

      const options = create(OptionsSchema, { configPath: join(folder, "two.toml") });
      const params = create(BootstrapParamsSchema, {
        instanceId: "c1",
        socketDir: socketDirectory,
        extensions: [{ value: pack(OptionsSchema, options) }],
      });
      const input = Buffer.from(toBinary(BootstrapParamsSchema, params));
      await start({ environment, annotations: pod, input });
      assert.equal(await readFile(join(bundle, "address"), "utf8"), `unix://${socketOf("n1", "sandbox")}`);
    });

    it("refuses a value it does not know, with file, line and key", async () => {
      await writeFile(join(folder, "tine.toml"), '[shim]\ngroup = "host"\n');
      const { result } = await start({ environment: { TINE_CONFIG: join(folder, "tine.toml") } });
      assert.deepEqual(result, {
        status: 1,
        stdout: "",
        stderr: `containerd-shim-tine-v2: ${folder}/tine.toml:2: shim.group: "host" is none of namespace, pod, container\n`,
      });
    });
  });

  describe("failing", () => {
    async function fails(expected: RegExp): Promise<void> {
      const { bundle, result } = await start();
      assert.deepEqual({ status: result.status, stdout: result.stdout }, { status: 1, stdout: "" });
      assert.match(result.stderr, expected);
      await assert.rejects(access(join(bundle, "address")), { code: "ENOENT" });
      await assert.rejects(access(socketOf("n1")), { code: "ENOENT" });
    }

    it("tells how a daemon ended that did not get ready", async () => {
      await behave("exit");
      await fails(/^containerd-shim-tine-v2: the daemon ended with status 3 before it was ready\n$/);
      await behave("die by signal");
      await fails(/^containerd-shim-tine-v2: the daemon was killed by signal 9 before it was ready\n$/);
    });

    it("shows the error that ended it", async () => {
      await behave("throw");
      await fails(/^containerd-shim-tine-v2: the daemon did not start: Error: no such feature\n {4}at /);
      await behave("lack a module");
      await fails(/^containerd-shim-tine-v2: the daemon did not start: .*Cannot find module '.*none\.js'/);
    });

    it("ends a daemon that does not get ready in ten seconds", async () => {
      await behave("never get ready");
      await fails(/^containerd-shim-tine-v2: the daemon was not ready within 10 seconds\n$/);
      const [record] = await records();
      assert.ok(record);
      assert.throws(() => process.kill(record.pid, 0), { code: "ESRCH" });
    });

    it("names an interpreter that is not there", async () => {
      const { result } = await start({ environment: { TINE_NODE: "/none/node" } });
      assert.deepEqual(result, {
        status: 1,
        stdout: "",
        stderr: "containerd-shim-tine-v2: the daemon did not start: /none/node: No such file or directory\n",
      });
    });

    it("names one that tine.toml names and that is not there", async () => {
      await writeFile(join(folder, "tine.toml"), '[node]\npath = "/none/of/tine.toml"\n');
      const { result } = await start({ environment: { TINE_CONFIG: join(folder, "tine.toml") } });
      assert.deepEqual(result, {
        status: 1,
        stdout: "",
        stderr:
          "containerd-shim-tine-v2: the daemon did not start: /none/of/tine.toml: No such file or directory\n",
      });
    });

    for (const [name, config] of [
      ["cut off", '{"annotations": {'],
      ["no object", "[]"],
      ["followed by something", "{} x"],
    ] as const) {
      it(`refuses a config.json that is ${name}`, async () => {
        const { result } = await start({ config });
        assert.deepEqual(result, {
          status: 1,
          stdout: "",
          stderr: "containerd-shim-tine-v2: ./config.json: not a JSON object\n",
        });
      });
    }

    it("refuses a socket's name that is too long for the kernel", async () => {
      const socket = join(socketDirectory, "x".repeat(107));
      const { result } = await start({ flags: ["-socket", socket] });
      assert.equal(result.status, 1);
      assert.match(result.stderr, /longer than a socket's name may be \(106 bytes\)\n$/);
    });
  });
});

/** A socket's name that nobody listens on, as a killed daemon leaves it. */
async function leaveDeadSocket(path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  const { status } = await capture([process.execPath, "--eval", script]);
  assert.equal(status, 137);
  await new Promise<void>((resolve, reject) => {
    const probe = createServer().once("error", () => resolve());
    probe.listen(path, () => reject(new Error("the socket was not left behind")));
  });
}
