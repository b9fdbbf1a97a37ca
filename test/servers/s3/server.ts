/**
 * S3: versitygw, which keeps objects as files and checks signature, checksums and conditional writes.
 *
 * Built once by `go install` of a pinned release. It needs user extended attributes where its data lies; where the file system of the
 * temporary folder has none, this server cannot be had and says so. May import: node:, src/core, test/servers.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { defaultPreparation, type Preparation } from '../cache.ts';
import { buildGoProgram, goProgramAvailability, type GoProgram } from '../go-program.ts';
import { ask } from '../http-json.ts';
import { freePorts } from '../loopback-ports.ts';
import { ManagedProcess } from '../managed-process.ts';
import { findProgram, mustRun } from '../programs.ts';
import type { Availability, HaltableServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';

const VERSITYGW: GoProgram = {
  name: 'versitygw',
  package: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
  cost: 'downloading about 40 MB of Go modules and compiling, about 2 CPU minutes',
};
const ASK_MS_MAX = 60_000;
const READY_MS_MAX = 60_000;

export interface S3Server extends HaltableServer {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** A bucket is a folder here: objects are read back from the disk, not through what is tested. */
  createBucket(name: string): string;
  /** A user who may nothing until a policy of a bucket says so. */
  createUser(name: string): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }>;
  /** Keys of a bucket, sorted. */
  keys(bucket: string): readonly string[];
}

async function availability(cache: string): Promise<Availability> {
  if (!hasUserAttributes()) {
    return {
      available: false,
      reason: 'the file system of the temporary folder has no user extended attributes',
      remedy: 'set TMPDIR to a folder on ext4, xfs, btrfs, or tmpfs of Linux 6.6 and newer',
    };
  }
  return goProgramAvailability(VERSITYGW, cache);
}

/** Asked of the folder itself: Python has the system call, Node has not. */
function hasUserAttributes(): boolean {
  const python = findProgram('python3');
  // Without Python the server itself tells at its start.
  if (python === undefined) return true;
  const folder = createWorkFolder('xattr');
  try {
    writeFileSync(join(folder, 'file'), '');
    const script = 'import os, sys; os.setxattr(sys.argv[1], "user.logtender", b"1")';
    return spawnSync(python, ['-c', script, join(folder, 'file')], { timeout: ASK_MS_MAX }).status === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts a gateway with an empty folder. */
export async function startS3(preparation: Preparation = defaultPreparation()): Promise<S3Server> {
  const program = await buildGoProgram(VERSITYGW, preparation);
  const [port = 0] = await freePorts(1);
  const work = createWorkFolder('s3');
  const data = join(work, 'data');
  const users = join(work, 'users');
  for (const folder of [data, users]) mkdirSync(folder);
  const url = `http://127.0.0.1:${port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'testsecret' };
  const region = 'eu-central-1';
  const gateway = new ManagedProcess({
    name: 'versitygw',
    program,
    args: [
      '--port',
      `127.0.0.1:${port}`,
      '--region',
      region,
      '--iam-dir',
      users,
      '--keep-alive',
      '--quiet',
      'posix',
      data,
    ],
    env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    cwd: work,
    logFile: join(work, 'versitygw.log'),
    // Nobody's request is refused: that is an answer.
    ready: async () => (await ask(`${url}/`)).status === 403,
    readyMsMax: READY_MS_MAX,
  });
  await gateway.start();
  return {
    url,
    region,
    credentials,
    folder: work,
    logFiles: [join(work, 'versitygw.log')],
    get pids() {
      return gateway.pid === undefined ? {} : { versitygw: gateway.pid };
    },
    createBucket: (name) => {
      mkdirSync(join(data, name));
      return join(data, name);
    },
    createUser: async (name) => {
      const keys = { accessKeyId: name, secretAccessKey: `${name}-secret` };
      const admin = ['admin', '--access', credentials.accessKeyId, '--secret', credentials.secretAccessKey];
      const where = ['--endpoint-url', url, '--region', region];
      const user = ['create-user', '--access', name, '--secret', keys.secretAccessKey, '--role', 'user'];
      await mustRun(program, [...admin, ...where, ...user], { cwd: work, timeoutMs: ASK_MS_MAX });
      return keys;
    },
    keys: (bucket) =>
      readdirSync(join(data, bucket), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes('/.sgwtmp'))
        .map((entry) => relative(join(data, bucket), join(entry.parentPath, entry.name)))
        .toSorted(),
    halt: (signal) => gateway.halt(signal),
    resume: () => gateway.start(),
    stop: async () => {
      await gateway.halt('SIGKILL');
      discardWorkFolder(work);
    },
  };
}

export const s3: ServerKind<S3Server> = {
  availability,
  prepare: async (preparation) => {
    await buildGoProgram(VERSITYGW, preparation);
  },
  start: startS3,
};
