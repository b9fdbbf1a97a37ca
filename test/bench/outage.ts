/**
 * The forwarder through an outage: its destination is away for minutes while 5 MB/s go on being written and rotated. Memory before it,
 * during it and while it catches up; lines lost and twice, as the destination counts them.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { startDiscardSink } from './discard-process.ts';
import { startForwarder } from './forwarder-process.ts';
import { cpuSeconds, rounded, watchMemory } from './measured-process.ts';
import { PLAIN_BYTES, writeWorkload } from './numbered-lines.ts';

const BYTES_PER_SECOND = 5_000_000;
const WRITE_EVERY_MS = 100;
/** A rotation each 20 s; nothing is deleted, so that nothing may be missing. */
const ROTATE_BYTES = 100_000_000;
/** What is written before the destination goes: enough to have compiled and grown what grows with work. */
const WARM_UP_MS = 5_000;

/** One measurement, as the object that is printed. */
export async function runOutage(minutes: number, entry: string): Promise<object> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-outage-'));
  const logs = join(root, 'logs');
  mkdirSync(logs);
  const outageMs = minutes * 60_000;
  const perWrite = Math.floor((BYTES_PER_SECOND * WRITE_EVERY_MS) / 1_000 / PLAIN_BYTES);
  const warmLines = perWrite * (WARM_UP_MS / WRITE_EVERY_MS);
  const lines = warmLines + perWrite * (outageMs / WRITE_EVERY_MS);
  const writer = new RotatingWriter(join(logs, 'app.log'), perWrite);
  const sink = await startDiscardSink({ kind: 'elasticsearch', lines, tls: undefined, absentMs: 0 });
  const forwarder = startForwarder({
    root,
    logs,
    sink: 'elasticsearch',
    metadata: 'full',
    port: sink.port,
    ca: undefined,
    entry,
  });
  try {
    const phase = async (work: Promise<unknown>): Promise<{ rss_mib: number; anon_mib: number; cpu_s: number }> => {
      const memory = watchMemory(forwarder.pid);
      const cpu = cpuSeconds(forwarder.pid);
      await Promise.race([work, forwarder.endedEarly]).finally(() => memory.stop());
      const { rssMib, anonMib } = memory.stop();
      return { rss_mib: rssMib, anon_mib: anonMib, cpu_s: rounded(cpuSeconds(forwarder.pid) - cpu, 2) };
    };
    const before = await phase(writer.writeUntil(warmLines));
    await sink.leave(outageMs);
    const during = await phase(writer.writeUntil(lines));
    const after = await phase(sink.complete);
    await forwarder.stop();
    const { lost, duplicates } = await sink.count();
    const workload = `outage/${minutes}-min`;
    return { bench: 'forwarder', who: 'logtender', workload, lines, before, during, after, lost, duplicates };
  } finally {
    await forwarder.stop();
    sink.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

class RotatingWriter {
  readonly #path: string;
  readonly #perWrite: number;
  #written = 0;
  #bytes = 0;
  #rotations = 0;

  constructor(path: string, perWrite: number) {
    this.#path = path;
    this.#perWrite = perWrite;
  }

  /** Writes at the set rate until so many lines are written in all. */
  async writeUntil(lines: number): Promise<void> {
    const beginMs = systemClock.monotonic();
    const first = this.#written;
    while (this.#written < lines) {
      const due = first + Math.ceil((systemClock.monotonic() - beginMs) / WRITE_EVERY_MS) * this.#perWrite;
      const to = Math.min(lines, due);
      if (to > this.#written) this.#write(to);
      await systemClock.sleep(WRITE_EVERY_MS);
    }
  }

  #write(to: number): void {
    this.#bytes += writeWorkload(this.#path, 'plain', this.#written, to);
    this.#written = to;
    if (this.#bytes < ROTATE_BYTES) return;
    this.#bytes = 0;
    this.#rotations += 1;
    renameSync(this.#path, `${this.#path}.${this.#rotations}`);
  }
}
