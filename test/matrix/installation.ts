import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "../harness/command.js";
import { busyboxImage, debianImage, unpackImage } from "../harness/image.js";
import { repository } from "../harness/paths.js";
import type { CaseResult } from "./results.js";

interface Step {
  readonly title: string;
  readonly script: string;
  readonly expected: string;
}

/** What somebody does on a machine that has never seen Tine, and what comes out of it. */
const anywhere: readonly Step[] = [
  { title: "there is no Node.js yet", script: "command -v node; echo $?", expected: "1\n" },
  {
    title: "the package installs",
    script: "dpkg -i /root/tine.deb >/dev/null 2>&1; echo $?",
    expected: "0\n",
  },
  {
    title: "its programs are in PATH and run",
    script: "tine --version; tine-vmm --version; containerd-shim-tine-v2 -v | grep Version",
    expected: "tine 0.1.0\ntine-vmm 0.1.0\n  Version: 0.1.0\n",
  },
  {
    title: "tine doctor finds the machine fit",
    script: "tine doctor >/tmp/doctor; echo $?",
    expected: "0\n",
  },
  { title: "tine do", script: "tine do -- sh -c 'echo $((6 * 7)); exit 3'; echo $?", expected: "42\n3\n" },
  {
    title: "manual pages and completion are there",
    script:
      "dpkg --contents /root/tine.deb | grep -o 'man./.*.gz'; bash -c '. /usr/share/bash-completion/completions/tine; complete -p tine'",
    expected:
      "man1/tine.1.gz\nman5/tine.toml.5.gz\nman8/containerd-shim-tine-v2.8.gz\ncomplete -F _tine tine\n",
  },
  {
    title: "Debian's containerd starts",
    script:
      "containerd >/tmp/containerd.log 2>&1 & for i in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done; ctr image import /root/image.tar >/dev/null && echo up",
    expected: "up\n",
  },
  {
    title: "ctr run --runtime io.containerd.tine.v2",
    script:
      "ctr run --rm --runtime io.containerd.tine.v2 $(ctr image ls -q) one sh -c 'echo $((6 * 7)); exit 7' </dev/null; echo $?",
    expected: "42\n7\n",
  },
  {
    title: "tine ps",
    script:
      "ctr run -d --runtime io.containerd.tine.v2 $(ctr image ls -q) two sleep 1000; tine ps --quiet; ctr task rm -f two 2>/dev/null; ctr container rm two; tine ps --quiet",
    expected: "two\n",
  },
  {
    title: "tine setup shows, applies and takes back what containerd's configuration needs",
    script:
      "tine setup containerd --print | grep -c runtimes.tine; tine setup containerd --apply >/dev/null && grep -rl runtimes.tine /etc/containerd; tine setup containerd --undo >/dev/null; grep -rl runtimes.tine /etc/containerd; echo $?",
    expected: "1\n/etc/containerd/config.toml\n1\n",
  },
];

/** Docker 20.10 knows no other runtimes of containerd: docs/clients.md's way. */
const inRuncsPlace: readonly Step[] = [
  {
    title: "tine setup docker tells the way with such an old one",
    script: "tine setup docker 2>&1 >/dev/null | grep -c tine-as-runc/containerd-shim-runc-v2",
    expected: "1\n",
  },
  {
    title: "Debian's docker, with Tine in runc's place",
    script: `mkdir /opt/tine-as-runc && ln -s $(command -v containerd-shim-tine-v2) /opt/tine-as-runc/containerd-shim-runc-v2
PATH=/opt/tine-as-runc:$PATH containerd --address /run/other.sock --root /var/lib/other --state /run/other >/tmp/other.log 2>&1 &
dockerd --containerd /run/other.sock --iptables=false --ip6tables=false --bridge=none >/tmp/docker.log 2>&1 &
for i in $(seq 200); do docker version >/dev/null 2>&1 && break; sleep 0.1; done
tar -c -C / bin/busybox | docker import - busybox >/dev/null
docker run --rm --network none busybox /bin/busybox sh -c 'echo $((6 * 7)); exit 7'; echo $?
docker run -d --network none --name three busybox /bin/busybox sleep 1000 >/dev/null; tine ps --quiet | wc -l; docker rm -f three; tine ps --quiet | wc -l`,
    expected: "42\n7\n1\nthree\n0\n",
  },
];

const dockerd = `dockerd --containerd /run/containerd/containerd.sock --iptables=false --ip6tables=false --bridge=none >>/tmp/docker.log 2>&1 &
for i in $(seq 200); do docker version >/dev/null 2>&1 && break; sleep 0.1; done`;

const byName: readonly Step[] = [
  {
    title: "Debian's docker, by --runtime alone",
    script: `${dockerd}
tar -c -C / usr/bin/busybox | docker import - busybox >/dev/null
docker run --rm --network none --runtime io.containerd.tine.v2 busybox /usr/bin/busybox sh -c 'echo $((6 * 7)); exit 7'; echo $?
docker run -d --network none --runtime io.containerd.tine.v2 --name three busybox /usr/bin/busybox sleep 1000 >/dev/null
tine ps --quiet | wc -l; docker exec three /usr/bin/busybox sh -c 'exit 5'; echo $?; docker rm -f three; tine ps --quiet | wc -l`,
    expected: "42\n7\n1\n5\nthree\n0\n",
  },
  {
    title: "tine setup docker: the name is tine then, and what daemon.json had stays",
    script: `mkdir -p /etc/docker; echo '{ "log-driver": "json-file" }' >/etc/docker/daemon.json
tine setup docker --apply >/dev/null; kill -HUP $(cat /var/run/docker.pid)
for i in $(seq 50); do docker info 2>/dev/null | grep -q ' tine' && break; sleep 0.1; done
docker run --rm --network none --runtime tine busybox /usr/bin/busybox echo $((6 * 7))
tine setup docker --undo >/dev/null; tr -d ' \n' </etc/docker/daemon.json`,
    expected: '42\n{"log-driver":"json-file"}',
  },
];

const removal: Step = {
  title: "removed, it leaves nothing",
  script: "dpkg -P tine >/dev/null; ls -d /usr/lib/tine /usr/bin/tine* /etc/tine 2>/dev/null; echo $?",
  expected: "2\n",
};

/** A release of Debian: this machine's, unless it is another. */
interface Release {
  readonly client: string;
  readonly suite?: string;
  readonly packages: readonly string[];
  readonly steps: readonly Step[];
}

const common = ["busybox-static", "containerd", "docker.io", "runc"];

/** This machine's. */
export const oldDocker: Release = {
  client: "debian-package",
  packages: common,
  steps: [...anywhere, ...inRuncsPlace, removal],
};

/** The one after. */
export const newDocker: Release = {
  client: "debian-package-trixie",
  suite: "trixie",
  packages: [...common, "docker-cli"],
  steps: [...anywhere, ...byName, removal],
};

/** Makes the package and installs it on a clean Debian. */
export async function installationResults({
  client,
  suite,
  packages,
  steps,
}: Release): Promise<CaseResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "tine-i-"));
  try {
    const npm = ["npm", "run", "--silent", "package", "--", folder];
    const made = (await check(npm, { directory: repository, limit: 600_000 })).stdout.trim().split("\n");
    const root = join(folder, "root");
    const image = await debianImage(packages, console.log, [], suite);
    await check(["mkdir", root]);
    await unpackImage(image, root);
    await copyFile(made.find((path) => path.endsWith(".deb")) ?? "", join(root, "root/tine.deb"));
    await copyFile((await busyboxImage(console.log)).archive, join(root, "root/image.tar"));
    const enter = [
      ...["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"],
      ...["sh", join(repository, "test/matrix/enter-root.sh"), root],
    ];
    const script = steps.map((step) => `echo "=== ${step.title}"\n${step.script}`).join("\n");
    const clean = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" };
    const { stdout } = await check([...enter, "bash", "-c", script], { environment: clean, limit: 240_000 });
    const found = new Map(
      stdout
        .split("=== ")
        .slice(1)
        .map((part): [string, string] => {
          const end = part.indexOf("\n");
          return [part.slice(0, end), part.slice(end + 1)];
        }),
    );
    return steps.map(({ title, expected }): CaseResult => {
      const outcome = found.get(title) === expected ? "same" : "different";
      console.log(`${outcome}: ${client}: ${title}`);
      if (outcome === "different")
        console.log(JSON.stringify({ expected, found: found.get(title) }, undefined, 1));
      return { client, section: "Installation", title, outcome };
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
