import assert from "node:assert/strict";
import { groupDirectoriesOf, hierarchiesOf } from "../../../../runtime/resources/groups.js";

const hybrid = `25 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,name=systemd
29 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;

describe("control groups", () => {
  it("of a hybrid host are version 1's", () => {
    const hierarchies = hierarchiesOf(hybrid);
    assert.equal(hierarchies.mode, "v1");
    assert.deepEqual(
      Object.fromEntries(
        groupDirectoriesOf("3:cpu,cpuacct:/ns/id\n2:memory:/ns/id\n1:name=systemd:/x\n0::/u\n", hierarchies),
      ),
      {
        cpu: "/sys/fs/cgroup/cpu,cpuacct/ns/id",
        cpuacct: "/sys/fs/cgroup/cpu,cpuacct/ns/id",
        memory: "/sys/fs/cgroup/memory/ns/id",
        "": "/sys/fs/cgroup/unified/u",
      },
    );
  });

  it("of a version 2 host are the one hierarchy's, with colons in a name", () => {
    const hierarchies = hierarchiesOf("29 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    assert.equal(hierarchies.mode, "v2");
    assert.deepEqual(Object.fromEntries(groupDirectoriesOf("0::/system.slice/a:b.scope\n", hierarchies)), {
      "": "/sys/fs/cgroup/system.slice/a:b.scope",
    });
  });

  it("are found below a mount that shows a part, under a name with a space", () => {
    const hierarchies = hierarchiesOf(
      "27 25 0:24 /docker/x /sys/fs/my\\040groups rw - cgroup cgroup rw,memory\n",
    );
    assert.deepEqual(Object.fromEntries(groupDirectoriesOf("2:memory:/docker/x/id\n", hierarchies)), {
      memory: "/sys/fs/my groups/id",
    });
  });
});
