/**
 * The example app of `npm start`: writes a line now and then and rotates its file by renaming it, as loggers do.
 *
 * May import: core.
 */
import { appendFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';

/** Slow enough to read along. */
const LINE_EVERY_MS = 250;
/** A rotation every few seconds, so that one is seen in any run. */
const LINES_PER_FILE = 8;

const ROUTES = ['/', '/cart', '/checkout', '/health', '/products/42'];

/** Writes until the signal is aborted. Gives the number of lines written. */
export async function runExampleApp(folder: string, clock: Clock, signal: AbortSignal): Promise<number> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'app.log');
  let lines = 0;
  while (!signal.aborted) {
    if (lines > 0 && lines % LINES_PER_FILE === 0) await rename(file, `${file}.${lines / LINES_PER_FILE}`);
    await appendFile(file, `${line(lines, clock.now())}\n`);
    lines += 1;
    await clock.sleep(LINE_EVERY_MS, signal);
  }
  return lines;
}

/** Every fourth line is JSON: both kinds are common in one file. */
function line(number: number, timeMs: number): string {
  const time = new Date(timeMs).toISOString();
  const route = ROUTES[number % ROUTES.length] ?? '/';
  if (number % 4 === 3) return JSON.stringify({ timestamp: time, level: 'info', route, status: 200, number });
  return `${time} INFO request ${number} GET ${route} 200`;
}
