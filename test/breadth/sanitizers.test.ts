import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capture, check, type CommandResult } from "../harness/command.js";
import { programs } from "../harness/paths.js";

const useAfterFree = `
#include <stdlib.h>
int main(void) {
  char* memory = malloc(100);
  free(memory);
  return memory[5];
}
`;
const overflow = `
#include <limits.h>
int main(int count, char** words) {
  int most = INT_MAX;
  return most + count == 0 && words;
}
`;
const race = `
#include <pthread.h>
#include <stdio.h>
int shared;
void* run(void* argument) {
  for (int i = 0; i < 1000; i++) shared++;
  return argument;
}
int main(void) {
  pthread_t a, b;
  pthread_create(&a, 0, run, 0);
  pthread_create(&b, 0, run, 0);
  pthread_join(a, 0);
  pthread_join(b, 0);
  puts("joined");
}
`;

describe("sanitizers", function () {
  this.timeout(240_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-sanitizers-"));
    for (const [name, source, sanitizer] of [
      ["address", useAfterFree, "address"],
      ["thread", race, "thread"],
      ["undefined", overflow, "undefined"],
    ] as const) {
      await writeFile(join(folder, `${name}.c`), source);
      await check([
        "gcc",
        "-g",
        `-fsanitize=${sanitizer}`,
        "-o",
        join(folder, name),
        join(folder, `${name}.c`),
      ]);
    }
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Exit status, output, and the report's last line, which names the place. */
  async function findings(command: readonly string[], options: string): Promise<unknown[]> {
    const environment = {
      ...process.env,
      ASAN_OPTIONS: options,
      TSAN_OPTIONS: options,
      UBSAN_OPTIONS: options,
    };
    const result: CommandResult = await capture(command, { environment, limit: 60_000 });
    return [result.status, result.stdout, /^SUMMARY: .*$/m.exec(result.stderr)?.[0]];
  }

  for (const [name, options, expected] of [
    ["address", "detect_leaks=0:exitcode=9", /heap-use-after-free .*address\.c:6 in main$/],
    ["thread", "exitcode=9", /data race .*thread\.c:6 in run$/],
    ["undefined", "print_summary=1:halt_on_error=1", /undefined-behavior .*undefined\.c:5/],
  ] as const) {
    it(`a program built with -fsanitize=${name} reports the same place as on Linux`, async () => {
      const program = join(folder, name);
      const native = await findings([program], options);
      const guest = await findings([join(programs, "tine-vmm"), "--", program], options);
      assert.deepEqual(guest, native);
      assert.match(String(guest[2]), expected);
    });
  }
});
