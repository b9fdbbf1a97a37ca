/**
 * Mocha reporter: the readable `spec` on the terminal and the counts, and what time each file took, as JSON into the file named by `output`.
 */
const { writeFileSync } = require('node:fs');
const { relative } = require('node:path');
const mocha = require('mocha');
const { cpuSecondsWithEnded } = require('./bench/measured-process.ts');

/** Seconds of CPU of this process and of its children that have ended; where there is no /proc, of this process alone. */
function cpuSeconds() {
  try {
    return cpuSecondsWithEnded(process.pid);
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }
}

class Both extends mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const failures = [];
    const pending = [];
    runner.on('fail', (test) => failures.push({ fullTitle: test.fullTitle() }));
    runner.on('pending', (test) => pending.push({ fullTitle: test.fullTitle() }));
    // By the outermost suites, so that hooks count: they start servers.
    const took = {};
    let began = { ms: 0, cpu: 0 };
    const isOutermost = (suite) => suite.parent?.root === true;
    runner.on('suite', (suite) => {
      if (isOutermost(suite)) began = { ms: performance.now(), cpu: cpuSeconds() };
    });
    runner.on('suite end', (suite) => {
      if (!isOutermost(suite)) return;
      const file = (took[relative(process.cwd(), suite.file ?? '')] ??= { seconds: 0, cpuSeconds: 0 });
      file.seconds += (performance.now() - began.ms) / 1000;
      file.cpuSeconds += cpuSeconds() - began.cpu;
    });
    runner.once('end', () => {
      const { passes, pending: skipped } = runner.stats;
      // A failing hook is no test of its own in mocha's count of tests, but it is a failure.
      const stats = { passes, failures: failures.length, pending: skipped };
      writeFileSync(options.reporterOption.output, JSON.stringify({ stats, failures, pending, took }));
    });
  }
}

module.exports = Both;
