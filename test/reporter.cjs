/**
 * Mocha reporter: the readable `spec` on the terminal and the counts as JSON into the file named by `output`.
 */
const { writeFileSync } = require('node:fs');
const mocha = require('mocha');

class Both extends mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const failures = [];
    const pending = [];
    runner.on('fail', (test) => failures.push({ fullTitle: test.fullTitle() }));
    runner.on('pending', (test) => pending.push({ fullTitle: test.fullTitle() }));
    runner.once('end', () => {
      const { passes, pending: skipped } = runner.stats;
      // A failing hook is no test of its own in mocha's count of tests, but it is a failure.
      const stats = { passes, failures: failures.length, pending: skipped };
      writeFileSync(options.reporterOption.output, JSON.stringify({ stats, failures, pending }));
    });
  }
}

module.exports = Both;
