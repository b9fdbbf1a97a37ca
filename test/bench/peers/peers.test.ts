/**
 * What is decidable of the peers without running one: versions, configurations, which cases they are in.
 */
import assert from 'node:assert/strict';
import { librariesIn } from '../../servers/debian-packages.ts';
import { FORWARDER_CASES } from '../forwarder.ts';
import { METADATA, type PeerCase } from './peer.ts';
import { PEERS } from './peer-process.ts';
import { Peers } from './peers.ts';

const PLACES = { state: '/run/state', log: '/logs/app.log', port: 19_200 };
const CASES: readonly PeerCase[] = (['plain', 'json', 'cri'] as const).flatMap((workload) =>
  (['none', 'full'] as const).map((metadata) => ({ workload, metadata })),
);

describe('versions of peers', () => {
  it('rsyslog says it in its first line', () => {
    assert.equal(PEERS.rsyslog.versionOf('rsyslogd  8.2302.0 (aka 2023.02) compiled with:\n\tPLATFORM:\n'), '8.2302.0');
  });

  for (const [said, version] of [
    ['syslog-ng 3 (3.38.1)\nConfig version: 3.35\nInstaller-Version: 3.38.1\n', '3.38.1'],
    ['syslog-ng 4 (4.8.1)\nConfig version: 4.2\n', '4.8.1'],
  ] as const) {
    it(`syslog-ng says ${version} in brackets, not that of its configuration`, () => {
      assert.equal(PEERS['syslog-ng'].versionOf(said), version);
    });
  }

  it('a program that does not start has none', () => {
    const said = 'error while loading shared libraries: libestr.so.0: cannot open shared object file';
    for (const peer of Object.values(PEERS)) assert.equal(peer.versionOf(said), undefined);
  });
});

describe('configurations of peers', () => {
  for (const peer of Object.values(PEERS)) {
    for (const which of CASES) {
      it(`${peer.name}, ${which.workload}, metadata ${which.metadata}: this file, that sink, what ours adds`, () => {
        const text = peer.configure(which, PLACES);
        assert.ok(text.includes(`"${PLACES.log}"`));
        assert.ok(text.includes(String(PLACES.port)));
        assert.doesNotMatch(text, /undefined|\[object/);
        assert.equal(text.includes('kubernetes'), which.metadata === 'full');
        if (which.metadata === 'full') for (const [, value] of METADATA) assert.ok(text.includes(value), value);
      });
    }
  }

  it("rsyslog's constants are one JSON document around the line", () => {
    const text = PEERS.rsyslog.configure({ workload: 'plain', metadata: 'full' }, PLACES);
    const template = /type="list"\) \{\n(.*)\n\}/.exec(text)?.[1] ?? '';
    const document = template
      .replace('property(name="timereported" dateFormat="rfc3339")', 'constant(value="T")')
      .replace('property(outname="message" name="msg" format="jsonf")', String.raw`constant(value="\"message\":\"m\"")`)
      .matchAll(/constant\(value=("(?:[^"\\]|\\.)*")\)/g);
    const parsed = JSON.parse([...document].map(([, value = '""']) => String(JSON.parse(value))).join(''));
    assert.equal(parsed['@timestamp'], 'T');
    assert.equal(parsed.message, 'm');
    assert.deepEqual(parsed.kubernetes.pod, {
      name: 'bench-5d4f8c7b9-x2x4z',
      uid: '11111111-2222-3333-4444-555555555555',
    });
    assert.equal(parsed.log.file.path, '/var/log/app/app.log');
  });
});

describe('cases of peers', () => {
  it('Elasticsearch without gzip, nothing else', () => {
    const peers = new Peers(() => {});
    const names = FORWARDER_CASES.filter((which) => peers.beside(which).length > 0).map(
      ({ workload, sink, variant }) => `${workload}/${sink}/${variant}`,
    );
    assert.deepEqual(
      names.toSorted(),
      ['plain', 'json', 'cri']
        .flatMap((workload) => [`${workload}/elasticsearch/items`, `${workload}/elasticsearch/items+metadata`])
        .toSorted(),
    );
  });
});

describe('libraries of Debian packages', () => {
  it('those that would be installed, but for the C library and what is none', () => {
    const said = [
      'Reading package lists...',
      'Inst libc6 (2.36-9+deb12u10 Debian:12.11/stable [amd64])',
      'Inst libgcc-s1 (12.2.0-14+deb12u1 Debian:12.11/stable [amd64])',
      'Inst libstdc++6 (12.2.0-14+deb12u1 Debian:12.11/stable [amd64])',
      'Inst libssl3t64 (3.5.1-1 Debian:13.0/stable [amd64])',
      'Inst dpkg (1.21.22 Debian:12.11/stable [amd64])',
      'Conf libcurl4 (7.88.1-10+deb12u12 Debian:12.11/stable [amd64])',
    ].join('\n');
    assert.deepEqual(librariesIn(said), ['libstdc++6', 'libssl3t64']);
  });
});
