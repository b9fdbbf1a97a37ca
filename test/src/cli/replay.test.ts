/**
 * Dead records sent again: to where they were meant to go, under their ids, and none of them lost on the way.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runReplay } from '../../../src/cli/replay.ts';
import { destinationOf, replayBatches } from '../../../src/cli/replay-batch.ts';
import { deadLine, parseDeadLine } from '../../../src/pipeline/dead-line.ts';
import type { DeadLine } from '../../../src/pipeline/dead-line.ts';
import { namedObject } from '../../../src/sinks/s3/object-key.ts';
import { forwarderConfig } from '../../fakes/forwarder-config.ts';

const SOURCE = 'AAAABBBBCCCCDDDD';
const DAY_MS = 86_400_000;

function line(offset: number, more: Partial<DeadLine> = {}): string {
  const id = `${SOURCE}-${offset}`;
  const about = {
    sink: 'elasticsearch',
    reason: 'rejected_by_sink',
    text: '400',
    container: 'app',
    path: '/log/a.log',
  };
  const place = { source: SOURCE, offset, to: offset + 10, destination: 'logs-a' };
  const record = `{"create":{"_id":"${id}"}}\n{"message":"m${offset}"}\n`;
  const { time = '2026-11-28T12:00:00.000Z', ...rest } = { ...about, ...place, record, ...more };
  return deadLine(time, rest);
}

function read(offset: number, more: Partial<DeadLine> = {}): DeadLine {
  const parsed = parseDeadLine(line(offset, more));
  assert(parsed !== undefined);
  return parsed;
}

describe('replay, batches', () => {
  const config = forwarderConfig({ S3_BUCKET: 'b', S3_COMPRESSION: 'none' });

  it('one for each destination, in the order of the file, the bytes as they were', () => {
    const lines = [read(0), read(10, { destination: 'logs-b' }), read(20)];
    const batches = replayBatches(config, 'elasticsearch', lines);
    assert.deepEqual(
      batches.map(({ batch }) => [batch.destination, batch.records, [...batch.offsets]]),
      [
        ['logs-a', 2, [0, 20]],
        ['logs-b', 1, [10]],
      ],
    );
    assert.equal(batches[0]?.batch.body.toString(), `${lines[0]?.record}${lines[2]?.record}`);
    assert.equal(batches[0]?.batch.ends[1], batches[0]?.batch.body.length);
  });

  it('none above the limits of its destination', () => {
    const big = `{"message":"${'x'.repeat(300_000)}"}\n`;
    const many = Array.from({ length: 9 }, (_, i) => read(i, { record: big }));
    assert.deepEqual(
      replayBatches(config, 'elasticsearch', many).map(({ batch }) => batch.records),
      [3, 3, 3],
    );
    const event = (timeMs: number): Partial<DeadLine> => ({
      sink: 'cloudwatch',
      destination: 'g:s',
      record: `{"timestamp":${timeMs},"message":"x"},`,
    });
    const times = [5, 1, DAY_MS, DAY_MS + 1, DAY_MS + 2];
    const events = replayBatches(
      config,
      'cloudwatch',
      times.map((timeMs, i) => read(i, event(timeMs))),
    );
    // Sorted, and less than 24 hours from first to last.
    assert.deepEqual(
      events.map(({ lines }) => lines.map(({ record }) => Number(/\d+/.exec(record)?.[0]))),
      [
        [1, 5, DAY_MS],
        [DAY_MS + 1, DAY_MS + 2],
      ],
    );
  });

  it('a record of S3 is the object that it would have been', () => {
    const destination = 'b\np/year=2026/month=11/day=28/hour=12/web_app_AAAABBBBCCCCDDDD_';
    const [one] = replayBatches(config, 's3', [read(30, { sink: 's3', destination, record: '{"a":1}\n' })]);
    assert(one !== undefined);
    const { key, from, to } = namedObject(one.batch, undefined, 'none');
    assert.deepEqual([from, to], [30, 40]);
    assert(key.endsWith('_0000000000000030-0000000000000040.ndjson'), key);
  });

  it('lines of earlier versions go where the configuration says', () => {
    const old = { ...read(0), destination: '' };
    assert.equal(destinationOf(config, old), 'logs-logtender-shop');
    assert.match(destinationOf(config, { ...old, sink: 'cloudwatch' }), /^\/k8s\/test\/shop\/web:/);
    assert.match(destinationOf(config, { ...old, sink: 's3' }), /year=2026\/month=11\/day=28\/hour=12/);
  });
});

/** A `_bulk` that refuses some records. */
class Bulk {
  readonly stored = new Map<string, string>();
  isBad = (_: string): boolean => false;
  requests = 0;
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.requests += 1;
      const lines = Buffer.concat(chunks).toString().split('\n');
      const items: object[] = [];
      for (let i = 0; i + 1 < lines.length; i += 2) {
        const { create } = JSON.parse(lines[i] ?? '') as { create: { _id: string } };
        const document = lines[i + 1] ?? '';
        if (this.isBad(document)) {
          const error = { type: 'document_parsing_exception', reason: 'no number' };
          items.push({ create: { status: 400, error } });
        } else if (this.stored.has(create._id))
          items.push({ create: { status: 409, error: { type: 'version_conflict_engine_exception' } } });
        else {
          this.stored.set(create._id, document);
          items.push({ create: { status: 201 } });
        }
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: items.length > 0, items }));
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe('logtender replay', () => {
  let folder: string;
  let file: string;
  let again: string;
  let bulk: Bulk;
  let url: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-replay-'));
    file = join(folder, 'dead-letter.ndjson');
    again = `${file}.again.ndjson`;
    bulk = new Bulk();
    url = await bulk.listen();
  });
  afterEach(() => {
    bulk.close();
    rmSync(folder, { recursive: true });
  });
  const run = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> => {
    let out = '';
    const io = { read: async () => '', out: (text: string) => void (out += text), err: () => {}, hasColour: false };
    const code = await runReplay([file, '--sink', 'elasticsearch', '-o', 'json', ...args], io, {
      ELASTICSEARCH_URL: url,
    });
    return { code, out };
  };
  const seen = (out: string): Readonly<Record<string, unknown>> => JSON.parse(out) as Readonly<Record<string, unknown>>;

  it('delivers what is taken now, keeps what is not with the new reason, and what cannot be read', async () => {
    writeFileSync(file, `${line(0)}${line(10)}garbage\n${line(20, { sink: 's3' })}`);
    const before = readFileSync(file, 'utf8');
    bulk.stored.set(`${SOURCE}-0`, 'there');
    bulk.isBad = (document) => document.includes('m10');
    const { code, out } = await run();
    assert.equal(code, 1);
    const { delivered, alreadyThere, refused, unreadable, left } = seen(out);
    assert.deepEqual([delivered, alreadyThere, refused, unreadable, left], [1, 1, 1, 1, 1]);
    assert.equal(readFileSync(file, 'utf8'), before);
    const [bad = '', kept = ''] = readFileSync(again, 'utf8')
      .trimEnd()
      .split('\n')
      .toSorted((a) => (a === 'garbage' ? 1 : -1));
    assert.equal(kept, 'garbage');
    assert.match(parseDeadLine(bad)?.text ?? '', /no number/);
    assert.equal(parseDeadLine(bad)?.record, read(10).record);
    // Nothing stands twice: another replay of the same has to be meant.
    await assert.rejects(run(), /expected no file .*again\.ndjson/);
  });

  it('what was kept can be replayed itself, until nothing is left', async () => {
    writeFileSync(file, `${line(0)}${line(10)}`);
    bulk.isBad = () => true;
    assert.equal((await run()).code, 1);
    bulk.isBad = () => false;
    file = again;
    const { code, out } = await run();
    assert.equal(code, 0, out);
    assert.deepEqual([...bulk.stored.keys()].toSorted(), [`${SOURCE}-0`, `${SOURCE}-10`]);
    assert(!existsSync(`${again}.again.ndjson.progress`));
  });

  it('filters and dry run', async () => {
    writeFileSync(
      file,
      `${line(0, { time: '2026-11-28T10:00:00Z' })}${line(10, { reason: 'too_large' })}${line(20, { path: '/log/b.log' })}`,
    );
    const dry = seen((await run('--dry-run', '--filter', 'reason=rejected_by_sink')).out);
    assert.equal(dry['would_send'], 2);
    assert.equal(bulk.requests, 0);
    await run('--filter', 'since=2026-11-28T11:00:00Z', '--filter', 'path=/log/a.log');
    assert.deepEqual([...bulk.stored.keys()], [`${SOURCE}-10`]);
    await assert.rejects(run('--filter', 'reson=x'), /did you mean reason=\?/);
    await assert.rejects(run('--filter', 'since=yesterday'), /expected a time such as/);
  });

  it('gives up after its time, says so, and goes on with the same command', async () => {
    writeFileSync(file, line(0));
    const dead = url;
    url = 'http://127.0.0.1:9';
    const { code, out } = await run('--timeout', '300ms');
    assert.equal(code, 1);
    assert.equal(seen(out)['finished'], false);
    assert.match(String(seen(out)['trouble']), /127\.0\.0\.1:9/);
    url = dead;
    assert.equal((await run()).code, 0);
    assert.equal(bulk.stored.size, 1);
  });

  it('goes on behind what an interrupted replay has dealt with, without a line twice in what is left', async () => {
    writeFileSync(file, `${line(0)}${line(10)}`);
    bulk.isBad = () => true;
    assert.equal((await run()).code, 1);
    const kept = readFileSync(again, 'utf8');
    // As a kill leaves it: the note says one line is done and kept, the file has one more.
    const { ReplayJournal } = await import('../../../src/cli/replay-journal.ts');
    const { closeSync, openSync } = await import('node:fs');
    rmSync(again);
    const fd = openSync(file, 'r');
    const journal = await ReplayJournal.open({ again, what: JSON.stringify({ sink: 'elasticsearch' }), fd });
    const first = `${kept.split('\n')[0] ?? ''}\n`;
    await journal.keep([first], Buffer.byteLength(line(0)));
    await journal.pause();
    closeSync(fd);
    appendFileSync(again, 'torn');
    bulk.isBad = () => false;
    assert.equal((await run()).code, 1);
    assert.equal(readFileSync(again, 'utf8'), first);
    assert.deepEqual([...bulk.stored.keys()], [`${SOURCE}-10`]);
    assert(!existsSync(`${again}.progress`));
  });
});
