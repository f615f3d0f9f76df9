import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture } from "../test/harness/command.js";
import { runc, tine, type Ctr } from "../test/harness/ctr.js";
import {
  debianImage,
  debianPackages,
  foreignArchitecture,
  foreignBusyboxImage,
  unpackImage,
  type TestImage,
} from "../test/harness/image.js";
import { repository } from "../test/harness/paths.js";
import { qemuUser } from "../test/harness/translator.js";
import { driver, inContainer, measureScripts, resultOf, workLimit, type Worker } from "./workloads.js";
import type { Table } from "./table.js";

const strategies = ["cow", "selective-cow", "region-copy"];

/** Programs that fork much, in a native image: each strategy beside runc. */
export async function forkWorkTable(ctr: Ctr, say: (text: string) => void): Promise<Table> {
  const image = await debianImage([...debianPackages, "git", "make"], say, ["hello"]);
  await ctr.import(image);
  const workers = [
    inContainer(ctr, image, { name: "runc", runtime: runc, flags: [] }),
    ...strategies.map((name) => inContainer(ctr, image, byStrategy(name))),
  ];
  const rows = await measureScripts(join(repository, "bench/forks/native"), workers, say);
  return { title: "Work that forks", unit: "s", columns: workers.map(({ name }) => name), rows };
}

/** The same of programs for another processor, beside Linux with the same translator in its binfmt_misc. */
export async function translatedForkWorkTable(ctr: Ctr, say: (text: string) => void): Promise<Table> {
  const folder = await mkdtemp(join(tmpdir(), "tine-bench-"));
  try {
    const translator = await qemuUser();
    const image = await foreignBusyboxImage(translator, say);
    const platform = ["--platform", `linux/${foreignArchitecture}`];
    await ctr.check(["images", "import", ...platform, image.archive], { limit: 300_000 });
    const settings = join(folder, "tine.toml");
    await writeFile(settings, `[translators]\n${foreignArchitecture} = "${translator}"\n`);
    const flags = [...platform, "--runtime-config-path", settings];
    const workers = [
      await onLinux(folder, image, translator),
      ...strategies.map((name) => inContainer(ctr, image, byStrategy(name, flags))),
    ];
    const rows = await measureScripts(join(repository, "bench/forks/translated"), workers, say);
    return {
      title: "Work that forks, under qemu-user",
      unit: "s",
      columns: workers.map(({ name }) => name),
      rows,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function byStrategy(
  name: string,
  flags: readonly string[] = [],
): { name: string; runtime: string; flags: string[] } {
  return { name, runtime: tine, flags: [...flags, "--annotation", `io.tine.fork=${name}`] };
}

/** The beginning of an executable of the other architecture, and which of its bits count, as binfmt_misc reads them. */
const magic =
  String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00` +
  (foreignArchitecture === "arm64" ? String.raw`\xb7\x00` : String.raw`\x3e\x00`);
const mask = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

/** In namespaces of its own, with a binfmt_misc of their own (Linux 6.7): the machine's is left alone. */
async function onLinux(folder: string, image: TestImage, translator: string): Promise<Worker> {
  const root = join(folder, "root");
  await mkdir(root);
  await unpackImage(image, root);
  const inside = `
set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
echo ":tine-bench:M::${magic}:${mask}:${translator}:PF" >/proc/sys/fs/binfmt_misc/register
mount -t tmpfs none "$1/tmp"
mount -t proc none "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -c "$2" /workload.sh
`;
  return {
    name: "Linux + qemu-user",
    async run(script) {
      await capture(["cp", script, join(root, "workload.sh")]);
      const namespaces = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];
      const command = ["unshare", ...namespaces, "sh", "-c", inside, "sh", root, driver];
      return resultOf(await capture(command, { limit: workLimit }));
    },
  };
}
