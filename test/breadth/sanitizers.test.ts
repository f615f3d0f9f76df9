import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
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
const uninitialized = `
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  int* values = malloc(4 * sizeof *values);
  values[0] = 1;
  if (values[2]) puts("set");
  return 0;
}
`;
const goTest = `
package race

import "testing"

var shared int

func TestGuarded(t *testing.T) {
	done := make(chan int)
	go func() { shared++; done <- 1 }()
	<-done
	shared++
}

func TestUnguarded(t *testing.T) {
	done := make(chan int, 2)
	for i := 0; i < 2; i++ {
		go func() {
			for j := 0; j < 1000; j++ {
				shared++
			}
			done <- 1
		}()
	}
	<-done
	<-done
}
`;

describe("sanitizers", function () {
  this.timeout(240_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-sanitizers-"));
    for (const [name, source, compiler] of [
      ["address", useAfterFree, "gcc"],
      ["thread", race, "gcc"],
      ["undefined", overflow, "gcc"],
      ["memory", uninitialized, "clang"],
    ] as const) {
      await writeFile(join(folder, `${name}.c`), source);
      await check([
        compiler,
        "-g",
        `-fsanitize=${name}`,
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
      MSAN_OPTIONS: options,
    };
    const result: CommandResult = await capture(command, { environment, limit: 60_000 });
    return [result.status, result.stdout, /^SUMMARY: .*$/m.exec(result.stderr)?.[0]];
  }

  for (const [name, options, expected] of [
    ["address", "detect_leaks=0:exitcode=9", /heap-use-after-free .*address\.c:6 in main$/],
    ["thread", "exitcode=9", /data race .*thread\.c:6 in run$/],
    ["memory", "exitcode=9", /use-of-uninitialized-value .*memory\.c:7:7 in main$/],
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

  it("valgrind reports the same place as on Linux", async () => {
    const program = join(folder, "plain");
    await check(["gcc", "-g", "-o", program, join(folder, "memory.c")]);
    const command = ["valgrind", "--quiet", "--error-exitcode=9", program];
    const found = async (prefix: readonly string[]): Promise<CommandResult> => {
      const result = await capture([...prefix, ...command], { limit: 60_000 });
      return { ...result, stderr: result.stderr.replace(/^==\d+==/gm, "==PID==") };
    };
    const native = await found([]);
    assert.deepEqual(await found([join(programs, "tine-vmm"), "--"]), native);
    assert.equal(native.status, 9);
    assert.match(native.stderr, /uninitialised value.*\n.*main \(memory\.c:7\)/);
  });

  it("a test that Go built with -race finds the same test racing as on Linux", async () => {
    const [program, source] = [join(folder, "race.test"), join(folder, "race")];
    await mkdir(source);
    await writeFile(join(source, "go.mod"), "module race\n\ngo 1.19\n");
    await writeFile(join(source, "race_test.go"), goTest);
    const environment = { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "", GO111MODULE: "on" };
    const build = ["go", "test", "-race", "-c", "-o", program, "."];
    await check(build, { environment, directory: source, limit: 240_000 });
    const found = async (prefix: readonly string[]): Promise<unknown[]> => {
      const result = await capture([...prefix, program, "-test.v"], { limit: 60_000 });
      const verdicts = result.stdout.match(/^(--- \w+: \w+|PASS|FAIL)/gm);
      return [result.status, verdicts, /race\.TestUnguarded\.func1\(\)/.test(result.stderr + result.stdout)];
    };
    const native = await found([]);
    assert.deepEqual(await found([join(programs, "tine-vmm"), "--"]), native);
    assert.deepEqual(native, [1, ["--- PASS: TestGuarded", "--- FAIL: TestUnguarded", "FAIL"], true]);
  });
});
