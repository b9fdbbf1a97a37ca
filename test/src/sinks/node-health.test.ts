/**
 * Which node is asked: the one that works, then one that has rested.
 */
import assert from 'node:assert/strict';
import { NodeHealth } from '../../../src/sinks/node-health.ts';

describe('NodeHealth', () => {
  it('stays with a node that works, and leaves one that failed alone for a time that doubles', () => {
    const health = new NodeHealth(3, 1);
    assert.equal(health.choose(0), 1);
    health.succeeded(1);
    assert.equal(health.choose(10), 1);
    health.failed(1, 10);
    assert.equal(health.choose(20), 2);
    health.succeeded(2);
    assert.equal(health.choose(5_000), 2, 'a node that works is kept');
    health.failed(2, 5_000);
    assert.equal(health.choose(5_001), 0);
    health.failed(0, 5_001);
    assert.equal(health.choose(5_002), 1, 'it has rested');
    health.failed(1, 5_002);
    assert.equal(health.choose(5_003), 2, 'all failed: whose time is over first');
    health.failed(2, 5_003);
    assert.equal(health.choose(6_001), 0);
    health.failed(0, 6_001);
    // 1 rests until 7,002 (its second failure), 2 until 7,003, 0 until 8,001.
    assert.equal(health.choose(7_002), 1);
  });

  it('never leaves a node alone for more than a minute, and always names one', () => {
    const health = new NodeHealth(1, 0);
    for (let i = 0; i < 100; i += 1) health.failed(0, 0);
    assert.equal(health.choose(1), 0);
    const two = new NodeHealth(2, 0);
    for (let i = 0; i < 100; i += 1) two.failed(0, 0);
    assert.equal(two.choose(59_999), 1);
    two.failed(1, 59_999);
    assert.equal(two.choose(60_000), 0);
  });
});
