import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addon } from "../../../../native/addon/addon.js";
import { candidatesOf, checkProgram } from "../../../../runtime/jail/program.js";

const root = { user: 0, group: 0, groups: [] };

describe("looking for a program", () => {
  it("tries the folders of PATH in turn, from the working directory where they are relative", () => {
    assert.deepEqual(
      candidatesOf({ name: "a", path: "/bin::sub", workingDirectory: "/work", credentials: root }),
      ["/bin/a", "/work/a", "/work/sub/a"],
    );
  });

  it("takes a name with a slash as it stands, and finds nothing without a PATH", () => {
    const program = { path: undefined, workingDirectory: "/work", credentials: root };
    assert.deepEqual(candidatesOf({ ...program, name: "./a" }), ["/work/a"]);
    assert.deepEqual(candidatesOf({ ...program, name: "a" }), []);
  });

  it("refuses in runc's words", async () => {
    const cases = [
      ["nope", 'exec: "nope": executable file not found in $PATH'],
      ["/nope", 'exec: "/nope": stat /nope: no such file or directory'],
      ["/etc/passwd/x", 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory'],
      ["/etc/passwd", 'exec: "/etc/passwd": permission denied'],
      ["/etc", 'exec: "/etc": permission denied'],
    ] as const;
    for (const [name, message] of cases) {
      const program = { name, path: "/usr/bin:/bin", workingDirectory: "/", credentials: root };
      await assert.rejects(checkProgram(process.pid, program), { code: "failed", message });
    }
  });

  it("accepts what is there, by name and by path", async () => {
    for (const name of ["sh", "/bin/sh", "../bin/sh"]) {
      await checkProgram(process.pid, {
        name,
        path: "/usr/bin:/bin",
        workingDirectory: "/tmp",
        credentials: root,
      });
    }
  });
});

describe("a look-up inside a root", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tine-lookup-"));
    await chmod(folder, 0o755);
    await mkdir(join(folder, "bin"));
    await mkdir(join(folder, "private"), { mode: 0o700 });
    for (const [name, mode] of [
      ["bin/all", 0o755],
      ["bin/root", 0o700],
      ["bin/none", 0o644],
      ["private/all", 0o755],
    ] as const) {
      await writeFile(join(folder, name), "");
      await chmod(join(folder, name), mode);
    }
    await symlink("/bin/all", join(folder, "absolute"));
    await symlink("../../../../bin/sh", join(folder, "escaping"));
    await symlink("loop", join(folder, "loop"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const answers = async (user: number, paths: string[]): Promise<number[]> => {
    const found: number[] = [];
    for (const path of paths) {
      found.push(...(await addon.lookUp(folder, [path], user, user, [user])));
    }
    return found;
  };
  const [OK, ENOENT, EACCES, EISDIR, ELOOP] = [0, 2, 13, 21, 40];

  it("resolves links inside it, and none leads out", async () => {
    const paths = ["/absolute", "/escaping", "/loop", "/bin", "/../bin/all"];
    assert.deepEqual(await answers(0, paths), [OK, ENOENT, ELOOP, EISDIR, OK]);
  });

  it("judges by the credentials of who asks", async () => {
    const paths = ["/bin/all", "/bin/root", "/bin/none", "/private/all"];
    assert.deepEqual(await answers(0, paths), [OK, OK, EACCES, OK]);
    assert.deepEqual(await answers(65_534, paths), [OK, EACCES, EACCES, EACCES]);
  });

  it("stops at the first that will do", async () => {
    assert.deepEqual(await addon.lookUp(folder, ["/x", "/bin/all", "/y"], 0, 0, []), [ENOENT, OK]);
  });

  it("leaves this process's own credentials alone", async () => {
    await answers(65_534, ["/bin/root"]);
    assert.deepEqual(await answers(0, ["/private/all"]), [OK]);
  });
});
