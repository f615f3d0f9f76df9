// Mocha's spec reporter, which also leaves the totals in build/test-totals.json for .ci/run.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const Mocha = require("mocha");

module.exports = class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const file = path.join(__dirname, "../build/test-totals.json");
    fs.rmSync(file, { force: true });
    runner.once("end", () => {
      const { passes, failures, pending } = this.stats;
      fs.writeFileSync(file, `${JSON.stringify({ passed: passes, failed: failures, pending })}\n`);
    });
  }
};
