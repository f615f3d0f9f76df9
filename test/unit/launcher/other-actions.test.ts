import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema, timestampDate } from "@bufbuild/protobuf/wkt";
import { pack, specTypeUrl } from "../../../shim/proto/any.js";
import { OptionsSchema } from "../../../shim/proto/gen/runtimeoptions_pb.js";
import { DeleteResponseSchema } from "../../../shim/proto/gen/task_pb.js";
import { RuntimeInfoSchema } from "../../../shim/proto/gen/types_pb.js";
import { capture, check } from "../../harness/command.js";
import { programs, repository } from "../../harness/paths.js";
import { makeLibrary } from "./fake-daemon.js";

const launcher = join(programs, "containerd-shim-tine-v2");

describe("containerd-shim-tine-v2", () => {
  let folder: string;
  let bundle: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-l-"));
    bundle = join(folder, "bundle");
    await mkdir(bundle);
    await makeLibrary(join(folder, "js"), "serve", join(folder, "records"));
  });

  beforeEach(async () => {
    await writeFile(join(bundle, "config.json"), "{}");
    await rm(join(bundle, "address"), { force: true });
    // As a container leaves it that was not deleted in order.
    await writeFile(join(bundle, "jail.json"), "{}");
  });

  after(() => rm(folder, { recursive: true, force: true }));

  const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env["PATH"], TINE_JS: join(folder, "js") });

  describe("delete", () => {
    const flags = (): string[] => [
      "-namespace",
      "n1",
      "-address",
      "/a.sock",
      "-publish-binary",
      "ctd",
      "-id",
      "c1",
    ];
    const socket = `/run/containerd/s/${createHash("sha256").update("/a.sock/n1").digest("hex")}`;
    const passedOn = (path: string): string[] => [
      ...["--namespace", "n1", "--address", "/a.sock", "--publish-binary", "ctd", "--socket", path],
      ...["--id", "c1"],
    ];

    it("runs delete.cjs with the daemon's arguments and the bundle, its output and status unchanged", async () => {
      const result = await capture([launcher, ...flags(), "-bundle", bundle, "-debug", "delete"], {
        environment: environment(),
        directory: folder,
      });
      const expected = [folder, ...passedOn(socket), "--debug", "--bundle", bundle];
      assert.deepEqual(result, { status: 5, stdout: JSON.stringify(expected), stderr: "" });
    });

    it("takes the working directory for the bundle, and the address start wrote down for the socket", async () => {
      await writeFile(join(bundle, "address"), "unix:///run/elsewhere");
      const result = await capture([launcher, ...flags(), "delete"], {
        environment: environment(),
        directory: bundle,
      });
      const expected = [bundle, ...passedOn("/run/elsewhere"), "--bundle", bundle];
      assert.deepEqual(result, { status: 5, stdout: JSON.stringify(expected), stderr: "" });
    });

    it("answers itself when nothing is left of the container", async () => {
      await rm(join(bundle, "jail.json"));
      const before = Date.now();
      const { status, stdout } = spawnSync(launcher, [...flags(), "-bundle", bundle, "delete"], {
        env: { PATH: "/none" },
      });
      const { pid, exitStatus, exitedAt } = fromBinary(DeleteResponseSchema, new Uint8Array(stdout));
      assert.deepEqual({ status, pid, exitStatus }, { status: 0, pid: 0, exitStatus: 137 });
      const at = exitedAt === undefined ? 0 : timestampDate(exitedAt).getTime();
      assert.ok(at >= before - 1 && at <= Date.now(), `${at}`);
    });

    it("removes the socket of a daemon that was killed, and takes no harm from an address that cannot be", async () => {
      await rm(join(bundle, "jail.json"));
      const socket = join(bundle, "s");
      const script = 'require("net").createServer().listen(process.argv[1],()=>process.kill(process.pid,9))';
      spawnSync(process.execPath, ["-e", script, socket]);
      assert.equal(existsSync(socket), true);
      for (const address of [socket, `/${"x".repeat(200)}`]) {
        await writeFile(join(bundle, "address"), `unix://${address}`);
        const { status, stderr } = await capture([launcher, ...flags(), "-bundle", bundle, "delete"]);
        assert.deepEqual([status, stderr], [0, ""]);
      }
      assert.equal(existsSync(socket), false);
    });

    it("goes on without a socket when the bundle has no config.json", async () => {
      await rm(join(bundle, "config.json"));
      const result = await capture([launcher, ...flags(), "-bundle", bundle, "delete"], {
        environment: environment(),
        directory: folder,
      });
      const expected = [folder, ...passedOn(""), "--bundle", bundle];
      assert.deepEqual(result, { status: 5, stdout: JSON.stringify(expected), stderr: "" });
    });
  });

  it("-v prints the package's version", async () => {
    const manifest = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as {
      version: string;
    };
    assert.deepEqual(await capture([launcher, "-v"]), {
      status: 0,
      stdout: `containerd-shim-tine-v2:\n  Runtime: io.containerd.tine.v2\n  Version: ${manifest.version}\n`,
      stderr: "",
    });
  });

  it("-info prints name, version, the options it was given and runc's features", async () => {
    const options = pack(OptionsSchema, create(OptionsSchema, { configPath: "/x.toml" }));
    const input = Buffer.from(toBinary(AnySchema, options));
    const { stdout } = spawnSync(launcher, ["-info"], { input });
    const info = fromBinary(RuntimeInfoSchema, new Uint8Array(stdout));
    assert.equal(info.name, "io.containerd.tine.v2");
    assert.equal(info.version?.version, "0.1.0");
    assert.deepEqual(info.options, options);
    assert.equal(info.features?.typeUrl, specTypeUrl.features);
    const features: unknown = JSON.parse(new TextDecoder().decode(info.features.value));
    assert.deepEqual(features, JSON.parse((await check(["runc", "features"])).stdout));
  });

  it("-info leaves out the features where there is no runc", async () => {
    const { stdout } = await check([launcher, "-info"], { environment: { PATH: "/none" } });
    const info = fromBinary(RuntimeInfoSchema, Buffer.from(stdout));
    assert.deepEqual(
      [info.name, info.options, info.features],
      ["io.containerd.tine.v2", undefined, undefined],
    );
  });

  const mistakes: [name: string, args: string[], message: string][] = [
    ["an unknown flag", ["-colour", "start"], "flag provided but not defined: -colour"],
    ["a flag without its value", ["-namespace", "n", "-id"], "flag needs an argument: -id"],
    ["a bad boolean", ["-debug=maybe", "start"], 'invalid boolean value "maybe" for -debug'],
    ["no namespace", ["-id", "c1", "start"], "the namespace must not be empty"],
    ["no id", ["-namespace=n", "start"], "the container's id must not be empty"],
    ["no action", ["--namespace=n", "--id=c1"], 'the action must be start or delete, not ""'],
    [
      "another action",
      ["-namespace", "n", "-id", "c1", "--", "stop"],
      'the action must be start or delete, not "stop"',
    ],
  ];
  for (const [name, args, message] of mistakes) {
    it(`refuses ${name}`, async () => {
      const stderr = `containerd-shim-tine-v2: ${message}\n`;
      assert.deepEqual(await capture([launcher, ...args]), { status: 1, stdout: "", stderr });
    });
  }
});
