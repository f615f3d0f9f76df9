import assert from "node:assert/strict";
import { placed, registrations, type Registration } from "../../../../runtime/monitor/translator-table.js";

function text(magic: string, mask: string): string {
  return `enabled\ninterpreter /opt/t\nflags: PO\noffset 0\nmagic ${magic}\nmask ${mask}\n`;
}

describe("the table of translators", () => {
  it("has what tine.toml names first, as the kernel would show it", () => {
    const named = (["arm64", "386", "s390x"] as const).map((architecture) => ({
      architecture,
      interpreter: "/opt/t",
      flags: "PO",
    }));
    const little = "ffffffffffffff00fffffffffffffffffeffffff";
    assert.deepEqual(
      registrations(named)
        .slice(0, 3)
        .map((registration) => registration.text),
      [
        text("7f454c460201010000000000000000000200b700", little),
        text("7f454c4601010100000000000000000002000300", little),
        text("7f454c4602020100000000000000000000020016", "ffffffffffffff00fffffffffffffffffffeffff"),
      ],
    );
  });

  it("gives its places to common architectures first", () => {
    const other = (index: number): Registration => ({
      interpreter: `/opt/${index}`,
      flags: "F",
      opened: true,
      text: `enabled\ninterpreter /opt/${index}\nflags: F\noffset 0\nmagic 7f45${index}0\n`,
    });
    const common = registrations([{ architecture: "arm64", interpreter: "/opt/t", flags: "PO" }]).slice(0, 1);
    const unopened: Registration = { ...other(9), flags: "", opened: false };
    const all = [unopened, ...[1, 2, 3, 4, 5, 6, 7, 8].map(other), ...common];
    assert.deepEqual(
      [...placed(all)].sort((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 9],
    );
  });
});
