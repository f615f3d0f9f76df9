import assert from "node:assert/strict";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture, check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { repository } from "../harness/paths.js";

describe("the npm package", () => {
  it("installed globally, without any registry, puts all programs in place and runs containers", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tine-npm-"));
    try {
      const pack = ["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", folder];
      await check(pack, { directory: repository, limit: 120_000 });
      const [archive = ""] = readdirSync(folder);
      const prefix = join(folder, "prefix");
      const environment = { ...process.env, npm_config_cache: join(folder, "cache") };
      const install = ["npm", "install", "--global", "--offline", "--prefix", prefix, join(folder, archive)];
      await check(install, { environment, directory: folder, limit: 120_000 });

      assert.deepEqual(readdirSync(join(prefix, "bin")).sort(), [
        "containerd-shim-tine-v2",
        "tine",
        "tine-vmm",
      ]);
      assert.ok(lstatSync(join(prefix, "share/man/man1/tine.1")).isSymbolicLink());
      const nodePath = readFileSync(join(prefix, "lib/node_modules/tine/build/bin/node-path"), "utf8");
      assert.equal(nodePath, `${realpathSync(process.execPath)}\n`);
      assert.deepEqual(await capture([join(prefix, "bin/tine"), "do", "--", "echo", "done"]), {
        status: 0,
        stdout: "done\n",
        stderr: "",
      });

      await using containerd = await PrivateContainerd.start({ shimFolders: [join(prefix, "bin")] });
      const ctr = new Ctr(containerd);
      const image = await busyboxImage();
      await ctr.import(image);
      const result = await ctr.run(image, ["sh", "-c", "echo in a container; exit 7"]);
      assert.deepEqual([result.status, result.stdout], [7, "in a container\n"]);
      for (const pid of await containerd.shims())
        assert.ok(readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(realpathSync(prefix)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
