import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { capture, check } from "../harness/command.js";
import { PrivateContainerd } from "../harness/containerd.js";
import { Ctr, freshId } from "../harness/ctr.js";
import { busyboxImage } from "../harness/image.js";
import { programs } from "../harness/paths.js";

const tine = join(programs, "tine");

interface Listed {
  id: string;
  namespace: string;
  pid: number;
  bundle: string;
  processes: {
    pid: number;
    depth: number;
    resident: number;
    own: number;
    forks: { count: number; seconds: number };
    command: string;
  }[];
}

describe("tine ps and tine logs", () => {
  it("show a container's processes and its monitors' reports while it runs", async () => {
    await using containerd = await PrivateContainerd.start();
    const ctr = new Ctr(containerd);
    const image = await busyboxImage();
    await ctr.import(image);
    const id = freshId("listed");
    const script = "sleep 1000 & (sleep 1001; true) & wait";
    await ctr.check(ctr.runArguments(image, ["sh", "-c", script], { id, flags: ["--detach"] }));

    let container: Listed | undefined;
    const shell = `sh -c ${script}`;
    const expected = [
      [0, shell],
      [1, shell],
      [1, "sleep 1000"],
      [2, "sleep 1001"],
    ];
    const shapes = (): unknown[] =>
      container?.processes.map(({ depth, command }) => [depth, command]).sort() ?? [];
    for (let tries = 0; tries < 300 && !isDeepStrictEqual(shapes(), expected); tries += 1) {
      const all = JSON.parse((await check([tine, "ps", "--json"])).stdout) as Listed[];
      container = all.find((listed) => listed.id === id);
    }
    assert.deepEqual(shapes(), expected);
    assert.ok(container);
    assert.deepEqual([container.namespace, container.processes[0]?.pid], ["tine-test", container.pid]);
    for (const { resident, own } of container.processes) assert.ok(own > 0 && resident >= own);
    // The shell has made two, one of which has made one more.
    assert.deepEqual(container.processes.map(({ forks }) => forks.count).sort(), [0, 0, 1, 2]);
    for (const { forks } of container.processes) assert.equal(forks.seconds > 0, forks.count > 0);
    const listing = (await check([tine, "ps"])).stdout;
    assert.match(
      listing,
      new RegExp(`^${id} +tine-test +${container.pid} +4 +\\d+[KM] +3 +[\\d.]+ [mµ]?s$`, "m"),
    );
    assert.match(
      listing,
      new RegExp(`^ +${container.pid} +\\d+[KM] +\\d+[KM] +2 +[\\d.]+ [mµ]?s +sh -c`, "m"),
    );
    assert.ok((await check([tine, "ps", "--quiet"])).stdout.split("\n").includes(id));

    const silent = `tine logs: the monitors of ${id} have reported nothing\n`;
    assert.deepEqual(await capture([tine, "logs", id]), { status: 0, stdout: "", stderr: silent });
    await writeFile(join(container.bundle, "monitor.log"), "a report\n");
    assert.deepEqual(await capture([tine, "logs", id]), { status: 0, stdout: "a report\n", stderr: "" });

    await ctr.check(["task", "rm", "--force", id]);
    const gone = await capture([tine, "logs", id]);
    assert.deepEqual([gone.status, gone.stdout], [125, ""]);
    assert.ok(!(await check([tine, "ps", "--quiet"])).stdout.split("\n").includes(id));
  });
});
