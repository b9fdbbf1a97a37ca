/**
 * ConnectProxy as a process of its own: its URL is the first line that it writes, each further line is a request that went through.
 */
import { ConnectProxy } from './connect-proxy.ts';

const proxy = new ConnectProxy((line) => void process.stdout.write(`${line}\n`));
await proxy.start();
process.stdout.write(`${proxy.url}\n`);
process.on('SIGTERM', () => void proxy.stop());
// Whoever started it is gone.
process.stdin.resume().on('end', () => process.exit(0));
