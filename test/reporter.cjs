/**
 * Mocha reporter: the readable `spec` on the terminal and the counts, and the seconds that each file took, as JSON into the file named by `output`.
 */
const { writeFileSync } = require('node:fs');
const { relative } = require('node:path');
const mocha = require('mocha');

class Both extends mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const failures = [];
    const pending = [];
    runner.on('fail', (test) => failures.push({ fullTitle: test.fullTitle() }));
    runner.on('pending', (test) => pending.push({ fullTitle: test.fullTitle() }));
    // By the outermost suites, so that hooks count: they start servers.
    const seconds = {};
    let sinceMs = 0;
    const isOutermost = (suite) => suite.parent?.root === true;
    runner.on('suite', (suite) => {
      if (isOutermost(suite)) sinceMs = performance.now();
    });
    runner.on('suite end', (suite) => {
      if (!isOutermost(suite)) return;
      const file = relative(process.cwd(), suite.file ?? '');
      seconds[file] = (seconds[file] ?? 0) + (performance.now() - sinceMs) / 1000;
    });
    runner.once('end', () => {
      const { passes, pending: skipped } = runner.stats;
      // A failing hook is no test of its own in mocha's count of tests, but it is a failure.
      const stats = { passes, failures: failures.length, pending: skipped };
      writeFileSync(options.reporterOption.output, JSON.stringify({ stats, failures, pending, seconds }));
    });
  }
}

module.exports = Both;
