/**
 * The real decide() in a small world with random histories: three replicas that crash, hold writes back and lose Secrets, two API
 * servers whose caches lag, three webhook servers that reload late, rotations without end, and operators who order new ones.
 *
 * Checked after every action: each leaf that is served is unexpired and verifies against the bundle that each API server holds (I1, and
 * through it I2, I3 and I5), and at most two generations are in flight (I4). The same world without settle time and cross certificate,
 * or without the guard of pruning, finds a violation: the model can see what it is there for. Time stands for a year in a minute.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import { isInSync, mergeTrust } from '../../certs/ca-bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { decide } from '../../certs/decide.ts';
import type { Settings, Step } from '../../certs/decide.ts';
import { EMPTY_MEMORY, remember } from '../../certs/observation.ts';
import { ROTATION_KINDS } from '../../certs/orders.ts';
import type { RotationRequest } from '../../certs/orders.ts';
import type { Memory, Observation, SecretView } from '../../certs/observation.ts';
import { notAfterMs } from '../../certs/validity.ts';
import type { ValidityRules } from '../../certs/validity.ts';
import { seededRandom, testSeed } from '../fakes/seeded-random.ts';
import type { SeededRandom } from '../fakes/seeded-random.ts';

const S = 1_000;
const SETTINGS: Settings = {
  ca: { lifeMs: 120 * S, backdateMs: 5 * S },
  leaf: { lifeMs: 36 * S, backdateMs: 5 * S },
  settleMs: 2 * S,
  pruneMarginMs: 6 * S,
  restoreGraceMs: 1 * S,
  covers: () => true,
};
/** What the world may do at most; decide() relies on it through settle time and prune margin. */
const CACHE_LAG_MS_MAX = 1_900;
const RELOAD_LAG_MS_MAX = 2_000;
const HELD_WRITE_MS_MAX = 3_000;

interface Design {
  readonly settings: Settings;
  readonly usesCross: boolean;
  readonly losesSecrets: boolean;
  /** Operators order new leaves and CAs, and the end of compromised ones, some twenty times a history. */
  readonly hasOrders?: boolean;
}

interface Follower<T> {
  value: T;
  version: number;
  /** When the version that it has was overtaken. */
  staleSinceMs: number | undefined;
}

interface Replica {
  memory: Memory;
  held: { readonly step: Step; readonly seen: Observation; readonly atMs: number } | undefined;
}

class World {
  readonly #random: SeededRandom;
  readonly #design: Design;
  #nowMs = Date.UTC(2026, 0, 1);
  #version = 1;
  #issued = 0;
  readonly #crossSigner = new Map<string, string>();
  #request: RotationRequest | undefined;
  #ca: SecretView<CaState> = { status: 'missing' };
  #tls: SecretView<ServingPair> = { status: 'missing' };
  #bundle: readonly CertificateFacts[] = [];
  #bundleVersion = 1;
  readonly #replicas: Replica[] = [1, 2, 3].map(() => ({ memory: EMPTY_MEMORY, held: undefined }));
  readonly #caches: Follower<readonly CertificateFacts[]>[] = [1, 2].map(() => ({
    value: [],
    version: 1,
    staleSinceMs: undefined,
  }));
  readonly #servers: Follower<ServingPair | undefined>[] = [1, 2, 3].map(() => ({
    value: undefined,
    version: 0,
    staleSinceMs: undefined,
  }));
  readonly history: string[] = [];
  rotations = 0;
  distrusted = 0;

  constructor(random: SeededRandom, design: Design) {
    this.#random = random;
    this.#design = design;
  }

  /** One action of somebody, then the invariants. */
  step(): void {
    this.#nowMs += 20 + this.#random.below(300);
    this.#follow();
    if (this.#design.hasOrders === true && this.#random.next() < 0.01) this.#order();
    const replica = this.#replicas[this.#random.below(3)];
    assert.ok(replica !== undefined);
    const chance = this.#random.next();
    if (replica.held !== undefined && (chance < 0.3 || this.#nowMs - replica.held.atMs > HELD_WRITE_MS_MAX - 400))
      this.#release(replica);
    else if (chance < 0.8) this.#act(replica, false);
    else if (chance < 0.9) this.#act(replica, true);
    else if (chance < 0.95) Object.assign(replica, { memory: EMPTY_MEMORY, held: undefined });
    else if (this.#design.losesSecrets) this.#loseSecret(chance);
    this.#check();
  }

  #order(): void {
    const kind = ROTATION_KINDS[this.#random.below(ROTATION_KINDS.length)] ?? 'leaf';
    this.#request = { ok: true, kind, text: `${kind}@${this.history.length}` };
    this.#note(`order ${this.#request.text}`);
  }

  #act(replica: Replica, isHeld: boolean): void {
    const configuration = {
      status: 'present',
      resourceVersion: String(this.#bundleVersion),
      entries: [{ name: 'a', bundle: { certificates: this.#bundle, isClean: true } }],
    } as const;
    const times = { nowMs: this.#nowMs, monotonicMs: this.#nowMs };
    const seen = { ...times, ca: this.#ca, tls: this.#tls, configuration, request: this.#request };
    replica.memory = remember(replica.memory, seen);
    const step = decide(seen, replica.memory, this.#design.settings);
    if (step.kind === 'wait') return;
    if (isHeld) replica.held = { step, seen, atMs: this.#nowMs };
    else this.#write(step, seen);
  }

  #release(replica: Replica): void {
    if (replica.held !== undefined) this.#write(replica.held.step, replica.held.seen);
    replica.held = undefined;
  }

  #write(step: Step, seen: Observation): void {
    switch (step.kind) {
      case 'bootstrap':
        return this.#writeCa(step.replaces, {
          generation: step.generation,
          current: this.#newCa(seen.nowMs),
          next: undefined,
          cross: undefined,
          previous: [],
          leafLifeMs: step.leafLifeMs,
          ...(step.orders === undefined ? {} : { orders: step.orders }),
        });
      case 'restore_ca':
        return this.#writeCa(step.replaces, step.state);
      case 'generate': {
        const next = this.#newCa(seen.nowMs);
        const cross = this.#certificate('cross', seen.nowMs, this.#design.settings.ca, step.state.current.certificate);
        this.#crossSigner.set(cross.fingerprint, step.state.current.certificate.fingerprint);
        return this.#writeCa(step.resourceVersion, { ...step.state, next, cross });
      }
      case 'promote':
      case 'forget':
      case 'abandon':
      case 'take_up':
      case 'distrust':
      case 'note_life':
        return this.#writeCa(step.resourceVersion, step.state, step.kind === 'promote');
      case 'issue_leaf': {
        const { current, cross, next } = step.state;
        const leaf = this.#certificate('leaf', seen.nowMs, this.#design.settings.leaf, current.certificate);
        const chain = this.#design.usesCross && cross !== undefined && next === undefined ? [leaf, cross] : [leaf];
        const { endsOldConnections } = step;
        return this.#writeTls(step.replaces, {
          leaf,
          chain,
          keyPem: '',
          issuer: current.certificate,
          endsOldConnections,
        });
      }
      case 'restore_leaf':
        return this.#writeTls(step.replaces, step.pair);
      case 'publish': {
        if (step.resourceVersion !== String(this.#bundleVersion)) return;
        const live = { certificates: this.#bundle, isClean: true };
        if (isInSync(live, step.target, seen.nowMs)) return;
        this.#bundle = mergeTrust(live, step.target, seen.nowMs);
        this.#bundleVersion += 1;
        return this.#note(`publish ${this.#bundle.map(short).join(' ')}`);
      }
      default:
        return;
    }
  }

  #writeCa(replaces: string | undefined, value: CaState, isRotation = false): void {
    if (!this.#swaps(this.#ca, replaces)) return;
    this.#ca = { status: 'valid', resourceVersion: String((this.#version += 1)), value };
    if (isRotation) this.rotations += 1;
    this.#note(
      `ca ${short(value.current.certificate)} next ${value.next === undefined ? '-' : short(value.next.certificate)}`,
    );
  }

  #writeTls(replaces: string | undefined, value: ServingPair): void {
    if (!this.#swaps(this.#tls, replaces)) return;
    this.#tls = { status: 'valid', resourceVersion: String((this.#version += 1)), value };
    this.#note(`leaf ${short(value.leaf)} of ${short(value.issuer)}`);
    if (value.endsOldConnections === true && value.chain.length === 1) this.distrusted += 1;
  }

  /** Compare-and-swap as the API server does it. */
  #swaps(live: SecretView<unknown>, replaces: string | undefined): boolean {
    if (live.status === 'missing') return replaces === undefined;
    return live.status !== 'foreign' && live.resourceVersion === replaces;
  }

  #loseSecret(chance: number): void {
    const lost = (view: SecretView<never> | SecretView<CaState> | SecretView<ServingPair>): SecretView<never> =>
      view.status === 'valid' && this.#random.next() < 0.5
        ? { status: 'corrupt', resourceVersion: String((this.#version += 1)), problem: 'on order' }
        : { status: 'missing' };
    // Rarely, so that the world has time to heal in between.
    if (chance > 0.953) return;
    const which = this.#random.below(3);
    if (which !== 1) this.#ca = lost(this.#ca);
    // The annotation is part of the object.
    if (this.#ca.status === 'missing') this.#request = undefined;
    if (which !== 0) this.#tls = lost(this.#tls);
    // The worst case: nobody remembers either.
    const isForgotten = this.#random.next() < 0.5;
    if (isForgotten)
      for (const replica of this.#replicas) Object.assign(replica, { memory: EMPTY_MEMORY, held: undefined });
    this.#note(`lost ${isForgotten ? 'and forgot ' : ''}${which === 0 ? 'ca' : which === 1 ? 'tls' : 'both'}`);
  }

  #follow(): void {
    for (const cache of this.#caches) this.#catchUp(cache, this.#bundle, this.#bundleVersion, CACHE_LAG_MS_MAX);
    // A server keeps what it has when the Secret is gone or broken.
    if (this.#tls.status !== 'valid') return;
    for (const server of this.#servers)
      this.#catchUp(server, this.#tls.value, Number(this.#tls.resourceVersion), RELOAD_LAG_MS_MAX);
  }

  #catchUp<T>(follower: Follower<T>, value: T, version: number, lagMsMax: number): void {
    if (follower.version === version) return;
    follower.staleSinceMs ??= this.#nowMs;
    if (this.#random.next() > 0.2 && this.#nowMs - follower.staleSinceMs < lagMsMax - 350) return;
    Object.assign(follower, { value, version, staleSinceMs: undefined });
  }

  #check(): void {
    if (this.#ca.status === 'valid') {
      const { next, previous } = this.#ca.value;
      assert.ok(
        (next === undefined ? 0 : 1) + previous.length <= 1,
        `I4: two generations beside the current one\n${this.#tail()}`,
      );
    }
    for (const [i, server] of this.#servers.entries()) {
      const pair = server.value;
      if (pair === undefined) continue;
      assert.ok(
        this.#nowMs < pair.leaf.notAfterMs,
        `server ${i} serves the expired ${short(pair.leaf)}\n${this.#tail()}`,
      );
      for (const [j, cache] of this.#caches.entries()) {
        const trusted = new Set(cache.value.filter((ca) => ca.notAfterMs > this.#nowMs).map((ca) => ca.fingerprint));
        const viaCross = pair.chain
          .slice(1)
          .some(
            (cross) => cross.notAfterMs > this.#nowMs && trusted.has(this.#crossSigner.get(cross.fingerprint) ?? ''),
          );
        const isVerified = trusted.has(pair.issuer.fingerprint) || viaCross;
        // Before the first bundle arrives nothing can be verified, and nothing was promised (DESIGN section 6).
        assert.ok(
          isVerified || cache.value.length === 0,
          `I1: server ${i}, cache ${j}: ${short(pair.leaf)} of ${short(pair.issuer)}\n${this.#tail()}`,
        );
      }
    }
  }

  #newCa(nowMs: number): CaState['current'] {
    return { certificate: this.#certificate('ca', nowMs, this.#design.settings.ca, undefined), keyPem: '' };
  }

  #certificate(
    role: string,
    nowMs: number,
    rules: ValidityRules,
    issuer: CertificateFacts | undefined,
  ): CertificateFacts {
    this.#issued += 1;
    const commonName = `${role}${this.#issued}`;
    const fingerprint = createHash('sha256').update(commonName).digest('hex');
    return {
      fingerprint,
      pem: '',
      commonName,
      notBeforeMs: nowMs - rules.backdateMs,
      notAfterMs: notAfterMs(nowMs, rules, issuer),
    };
  }

  #note(text: string): void {
    this.history.push(`${((this.#nowMs - Date.UTC(2026, 0, 1)) / 1000).toFixed(2)} ${text}`);
  }

  #tail(): string {
    return this.history.slice(-25).join('\n');
  }
}

function short(certificate: CertificateFacts): string {
  return certificate.commonName;
}

/** Runs histories until one violates an invariant; the text of the violation, or undefined. */
function explore(
  design: Design,
  seed: number,
  histories: number,
  steps: number,
): { violation: string | undefined; rotations: number; distrusted: number } {
  let rotations = 0;
  let distrusted = 0;
  for (let i = 0; i < histories; i += 1) {
    const world = new World(seededRandom(seed + i), design);
    try {
      for (let step = 0; step < steps; step += 1) world.step();
    } catch (error) {
      assert.ok(error instanceof Error);
      return { violation: `history ${i} (TEST_SEED=${seed}): ${error.message}`, rotations, distrusted };
    }
    rotations += world.rotations;
    distrusted += world.distrusted;
  }
  return { violation: undefined, rotations, distrusted };
}

describe('decide, as a model', () => {
  const seed = testSeed() % 1_000_000_000;
  const whole: Design = { settings: SETTINGS, usesCross: true, losesSecrets: false };

  it(`holds through rotations with crashes and stale writes (seed ${seed})`, () => {
    const { violation, rotations } = explore(whole, seed, 30, 2_000);
    assert.equal(violation, undefined, violation);
    assert.ok(rotations > 30 * 2, `the histories rotate: ${rotations}`);
  });

  it(`holds when Secrets are lost and corrupted as well (seed ${seed})`, () => {
    const { violation, rotations } = explore({ ...whole, losesSecrets: true }, seed, 30, 2_000);
    assert.equal(violation, undefined, violation);
    assert.ok(rotations > 30, `the histories rotate: ${rotations}`);
  });

  for (const losesSecrets of [false, true]) {
    it(`holds while operators order rotations${losesSecrets ? ' and Secrets are lost' : ''} (seed ${seed})`, () => {
      const { violation, distrusted } = explore({ ...whole, hasOrders: true, losesSecrets }, seed, 30, 2_000);
      assert.equal(violation, undefined, violation);
      assert.ok(distrusted > 30, `compromised CAs came to their end: ${distrusted}`);
    });
  }

  it('without settle time a compromised CA is taken away from servers that did not reload', () => {
    const hasty = { ...whole, hasOrders: true, settings: { ...SETTINGS, settleMs: 0 } };
    assert.match(explore(hasty, seed, 200, 2_000).violation ?? '', /I1/);
  });

  it('without settle time and cross certificate it finds the stale cache', () => {
    const naked = { ...whole, usesCross: false, settings: { ...SETTINGS, settleMs: 0 } };
    assert.match(explore(naked, seed, 200, 2_000).violation ?? '', /I1/);
  });

  it('without the guard of pruning it finds the leaf that lost its CA', () => {
    // A CA counts as not needed from the moment of its successor's promotion.
    const unguarded = { ...whole, settings: { ...SETTINGS, pruneMarginMs: -SETTINGS.leaf.lifeMs * 2 } };
    assert.match(explore(unguarded, seed, 200, 2_000).violation ?? '', /I1/);
  });
});
