/**
 * Which path is ours: `/mutate`, or `/mutate/<token>` when the operator wants only those to ask who know the token.
 *
 * Invariants: it decides before anything of a body is read; with a token the time it takes depends on the length of the path that was
 * sent and on nothing else, and a wrong token looks like any other unknown path. May import: core, config.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

import { followFile } from '../src/config/followed-file.ts';
import type { FollowedFile } from '../src/config/followed-file.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';

const PATH = '/mutate';
/** An old token and its successor, while webhook configuration and Secret change one after the other. */
const TOKENS_MAX = 2;
/** 32 characters of base64url or hexadecimal are at least 128 bits of chance. */
const TOKEN = /^[A-Za-z0-9_-]{32,256}$/;

/** True for a path that is answered. */
export type PathGate = (path: string) => boolean;

export type ParsedTokens =
  { readonly ok: true; readonly value: readonly string[] } | { readonly ok: false; readonly problem: string };

/** The kubelet brings a changed Secret within a minute or two; ten seconds more do not matter. */
const LOOK_EVERY_MS = 10_000;

/**
 * Reads the file of the tokens and follows it.
 *
 * @throws OperationalError CONFIG_INVALID when it cannot be read or holds no tokens
 */
export function followPathTokens(
  path: string,
  options: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics; readonly lookEveryMs?: number },
): Promise<FollowedFile<readonly string[]>> {
  const { clock, log, metrics, lookEveryMs = LOOK_EVERY_MS } = options;
  const reloads = metrics.counter('logtender_path_token_reloads_total', 'Changes of the path token file, by result.');
  return followFile({
    path,
    clock,
    everyMs: lookEveryMs,
    parse: parsePathTokens,
    onChange: () => {
      reloads.add(1, { result: 'taken' });
      log.info('path token changed', { file: path });
    },
    onProblem: (problem) => {
      reloads.add(1, { result: 'refused' });
      log.error('path token refused, the old one stays', { error: problem });
    },
  });
}

/** Reads the file of the tokens. The problem never shows what stands in it. */
export function parsePathTokens(text: string): ParsedTokens {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  const isGood = lines.length >= 1 && lines.length <= TOKENS_MAX && lines.every((line) => TOKEN.test(line));
  if (isGood) return { ok: true, value: lines };
  const expected = `expected one or ${TOKENS_MAX} lines of 32 to 256 letters, digits, - or _`;
  return {
    ok: false,
    problem: `${expected}, got ${lines.length} lines of ${lines.map((line) => line.length).join(', ')}`,
  };
}

/** @param tokens asked at each request, so that a changed file counts at once; undefined for the plain path */
export function createPathGate(tokens: (() => readonly string[]) | undefined): PathGate {
  if (tokens === undefined) return (path) => path === PATH;
  return (path) => {
    const found = digest(path);
    let isOurs = false;
    for (const token of tokens()) isOurs = timingSafeEqual(found, digest(`${PATH}/${token}`)) || isOurs;
    return isOurs;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
