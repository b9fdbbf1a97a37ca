/**
 * The records that some lines would become: `logtender forward --try`.
 *
 * Cut, shaped and encoded by the very parts that a lane uses, with the encoder of the first sink; nothing is sent and no file is touched.
 * Records go to the standard output, one JSON object a line; what a filter drops is told on standard error. May import: everything but
 * test.
 */
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { systemClock, systemRandom } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { createMetrics } from '../core/metrics.ts';
import { recordBytes } from '../core/record.ts';
import type { SourceInfo } from '../core/record.ts';
import { LAST } from '../parse/record-cutter.ts';
import { needsShaping, RecordShaper } from '../parse/record-shaper.ts';
import { saltOf } from '../parse/sampler.ts';
import { lineCut } from '../pipeline/line-cut.ts';
import { readableRecord } from '../pipeline/dead-line.ts';
import { createSink } from '../sinks/registry.ts';
import type { Encoder } from '../sinks/sink.ts';
import type { CommandIo } from './command-io.ts';

interface Bench {
  readonly config: ForwarderConfig;
  readonly encoder: Encoder;
  readonly source: SourceInfo;
  readonly io: CommandIo;
  readonly nowMs: number;
}

/** Exit 0. */
export async function tryLines(config: ForwarderConfig, text: string, io: CommandIo): Promise<number> {
  const [name = 'console'] = config.sinks;
  const deps = { log: silentLog, metrics: createMetrics(), clock: systemClock, random: systemRandom };
  const sink = await createSink(name, config, deps);
  const [glob] = config.files;
  const path = glob?.path ?? '/example.log';
  const source = { id: 'AAAAAAAAAAAAAAAA', container: glob?.container ?? 'app', path, file: path.replace(/^\//, '') };
  const bench = { config, encoder: sink.createEncoder(), source, io, nowMs: systemClock.now() };
  const input = Buffer.from(text);
  if (needsShaping(config)) tryShaped(bench, input);
  else tryPlain(bench, input);
  await sink.close();
  return 0;
}

function tryPlain({ encoder, source, io, nowMs }: Bench, input: Buffer): void {
  for (let at = 0; at < input.length;) {
    const to = lineCut(input, at, input.length, true);
    while (at < to) {
      at = encoder.append(source, input, at, to, at, nowMs);
      flush(encoder, io);
    }
  }
}

function tryShaped({ config, encoder, source, io, nowMs }: Bench, input: Buffer): void {
  const shaper = new RecordShaper(config);
  const salt = saltOf(source.id);
  for (let at = 0; at < input.length;) {
    const to = shaper.cutter.cut(input, at, input.length, LAST);
    for (let group = 0; group < shaper.cutter.groups; group += 1) {
      const reason = shaper.shape(input, group, { offset: at, salt, timeMs: nowMs, nowMs, sentBefore: 0 });
      const { record } = shaper;
      if (reason === undefined) {
        encoder.appendRecord(source, record, nowMs);
        flush(encoder, io);
      } else
        io.err(
          `dropped (${reason}): ${shaper.lines} ${shaper.lines === 1 ? 'line' : 'lines'} at byte ${record.offset}\n`,
        );
    }
    at = to;
  }
}

/** Shows what the encoder holds and empties it. */
function flush(encoder: Encoder, io: CommandIo): void {
  const batch = encoder.finish();
  for (let index = 0; index < batch.records; index += 1)
    io.out(`${readableRecord(recordBytes(batch, index).toString('utf8')).record}\n`);
  encoder.reset();
}
