import { CommandError } from "../test/harness/command.js";
import type { Ctr } from "../test/harness/ctr.js";
import type { TestImage } from "../test/harness/image.js";
import { runtimesOf, type Peer } from "./peers.js";
import { median, type Table } from "./table.js";

/** Packages that the work below needs, beside what the image holds anyway. */
export const processorPackages = ["openssl"];

const rounds = 3;

const python = `
import json, re
total = 0
for i in range(60):
    data = {str(n): [n * n, "x" * (n % 7)] for n in range(3000)}
    text = json.dumps(data)
    total += len(re.findall(r"x+", text)) + sum(v[0] for v in json.loads(text).values())
print(total)
`;

const compile = `
cd /tmp
awk 'BEGIN { for (i = 0; i < 1500; i++)
  printf "int f%d(int *a, int n) { int s = %d; for (int i = 0; i < n; i++) s += a[i] * (s ^ i); return s; }\\n", i, i }' > big.c
gcc -O2 -c big.c
`;

/** Work that hardly leaves the processor; before it hashing behind a pipe, whose calls take longer than the hash does. */
const work: Readonly<Record<string, readonly string[]>> = {
  "1.5 GB from head to openssl through a pipe, 4 KiB at a time": [
    "bash",
    "-c",
    "head -c 1500000000 /dev/zero | openssl dgst -sha256",
  ],
  "python3: JSON and regular expressions": ["python3", "-c", python],
  "gcc -O2 of 1500 functions": ["bash", "-c", compile],
};

/** The whole time of each in a container, start included, the runtimes taking turns. */
export async function processorTable(ctr: Ctr, image: TestImage, peers: readonly Peer[]): Promise<Table> {
  const runtimes = runtimesOf(peers);
  const rows: { what: string; figures: number[] }[] = [];
  for (const [what, command] of Object.entries(work)) {
    const times = runtimes.map((): number[] => []);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, { runtime, name, flags }] of runtimes.entries()) {
        const begin = performance.now();
        const result = await ctr.run(image, command, { runtime, flags: [...flags], limit: 120_000 });
        times[index]?.push((performance.now() - begin) / 1000);
        if (result.status !== 0)
          throw new CommandError("failed", `${name}: ${what} failed\n${result.stderr}`, result);
      }
    }
    rows.push({ what, figures: times.map(median) });
  }
  return { title: "Processor-bound work", unit: "s", columns: runtimes.map(({ name }) => name), rows };
}
