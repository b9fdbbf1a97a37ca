/**
 * A seeded generator for random tests: the same seed gives the same run. The seed is part of every failure's text.
 *
 * Algorithm: mulberry32 (public domain, T. Ettinger): enough for tests, nothing else.
 */
export interface SeededRandom {
  /** Uniform in [0, 1). */
  next(): number;
  /** A uniform integer in [0, bound). */
  below(bound: number): number;
}

/** The seed of this run: `TEST_SEED`, or a fresh one. */
export function testSeed(): number {
  const given = Number(process.env['TEST_SEED']);
  return Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 0xffff_fffe);
}

/** A generator that begins at `seed`, an integer from 1 to 2^32 - 1. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return { next, below: (bound) => Math.floor(next() * bound) };
}
