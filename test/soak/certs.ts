/**
 * CA rotations under load until so many were seen, with lives and waits so short that a year passes in seconds.
 *
 * May import: src, test/servers, test/soak.
 */
import { durationMs } from '../../src/config/fields.ts';
import { systemClock } from '../../src/core/clock.ts';
import { startControlPlane } from '../servers/servers.ts';
import { createSession, figuresOf } from './session.ts';
import type { SoakFigures, SoakSession } from './session.ts';

export interface CertsSoakOptions {
  readonly rotations: number;
  /** Durations as certs.yaml has them. */
  readonly caLife: string;
  readonly leafLife: string;
  readonly settle: string;
  /** Pods a second. */
  readonly rate: number;
  /** Progress, a line at a time. */
  readonly note: (line: string) => void;
}

export const CERTS_SOAK_DEFAULTS = { rotations: 5, caLife: '30s', leafLife: '10s', settle: '1s', rate: 50 } as const;

const API_SERVERS = 2;
const WEBHOOKS = 3;
const CERTS_REPLICAS = 2;
/** A rotation begins at two thirds of a CA's life, so that two lives are ample for one; the rest is for the start. */
const LIVES_PER_ROTATION_MAX = 2;
const START_MS_MAX = 5 * 60_000;
const LOOK_MS = 250;

export interface CertsSoakResult extends SoakFigures {
  /** In words: what went wrong, none when all was well. */
  readonly problems: readonly string[];
}

/** Runs to its end, which is bounded; every process that it started is gone when it resolves or rejects. */
export async function soakCerts(options: CertsSoakOptions): Promise<CertsSoakResult> {
  const { note, rate } = options;
  note(`control plane with ${API_SERVERS} API servers`);
  const plane = await startControlPlane({ apiServers: API_SERVERS });
  try {
    const session = await createSession(plane, {
      certs: scaledConfig(options),
      webhooks: WEBHOOKS,
      certsReplicas: CERTS_REPLICAS,
      perSecond: rate,
      onRotation: ({ rotations, generation, phase }) =>
        note(`generation ${generation}: ${phase}, ${rotations} of ${options.rotations} rotations`),
    });
    try {
      return await underLoad(session, options);
    } finally {
      await session.stop();
    }
  } finally {
    await plane.stop();
  }
}

async function underLoad(session: SoakSession, options: CertsSoakOptions): Promise<CertsSoakResult> {
  const caLifeMs = durationMs(options.caLife) ?? 0;
  const { load, meter } = await session.begin();
  options.note(`${WEBHOOKS} webhooks, ${CERTS_REPLICAS} certificate managers, ${options.rate} pods a second`);
  const before = session.rotations.counts();
  const deadline = systemClock.monotonic() + START_MS_MAX + options.rotations * LIVES_PER_ROTATION_MAX * caLifeMs;
  const done = (): number => session.rotations.counts().rotations - before.rotations;
  let told = 0;
  while (done() < options.rotations && systemClock.monotonic() < deadline) {
    await systemClock.sleep(LOOK_MS);
    const { failures } = load.counts();
    for (const failure of failures.slice(told)) options.note(failure);
    told = failures.length;
  }
  const counts = await load.stop();
  const after = session.rotations.counts();
  const figures = figuresOf({ ...after, rotations: done() }, counts, await meter.growth());
  const running = [...session.fleet.certs.map((replica) => replica.isRunning())];
  const problems = [
    ...(figures.rotations < options.rotations
      ? [`expected ${options.rotations} rotations, saw ${figures.rotations}`]
      : []),
    ...(figures.failed > 0 ? [`${figures.failed} creations failed`, ...counts.failures] : []),
    ...(figures.fail_open > 0 ? [`${figures.fail_open} calls failed open`] : []),
    ...(after.beginnings > before.beginnings
      ? [`${after.beginnings - before.beginnings} CAs came without a rotation`]
      : []),
    ...(running.includes(false) ? ['a certificate manager ended by itself'] : []),
    ...(session.fleet.webhooks.every(({ process }) => process.isRunning) ? [] : ['a webhook ended by itself']),
  ];
  return { ...figures, problems };
}

/** certs.yaml of a year in seconds. @param options durations as they stand in the file */
function scaledConfig(options: Pick<CertsSoakOptions, 'caLife' | 'leafLife' | 'settle'>): string {
  const { caLife, leafLife, settle } = options;
  return `caLife: ${caLife}\nleafLife: ${leafLife}\nsettle: ${settle}\npruneMargin: 1s\nrestoreGrace: 3s\ntick: 1s\nlease: 2s`;
}
