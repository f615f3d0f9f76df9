import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { programsPage, readPrograms } from "../../../scripts/documentation/programs.js";
import { repository } from "../../harness/paths.js";

describe("the page of tried programs", () => {
  const programs = readPrograms(join(repository, "test/breadth/programs.json"));

  it("is what the table makes", () => {
    assert.equal(readFileSync(join(repository, "docs/programs.md"), "utf8"), programsPage(programs));
  });

  it("gives a cause for every difference", () => {
    assert.deepEqual(
      programs.filter((program) => program.result !== "same" && program.cause === undefined),
      [],
    );
  });
});
