import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { proxyHeader } from '../../src/net/proxy-protocol.ts';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { issueCertificate } from '../support/certificates.ts';
import { hello, helloMessage, records } from '../support/client-hello.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { within } from '../support/within.ts';

const VISITOR = { address: '203.0.113.7', port: 51_442 };
const HERE = { address: '127.0.0.1', port: 443 };

/** Names, and the folder or domain that each is found by, after those before it were asked in vain. */
const ROUTES = {
  'exact.example.com': 'a domain',
  'some.example.com': 'a wildcard domain',
  'exact.example.org': 'its folder',
  'some.example.org': 'a wildcard folder',
  'nobody.example.net': 'the fallback folder',
} as const;

describe('a hello behind a PROXY header, looked at by each route in turn, is whole at the backend of', () => {
  let folder: string;
  let target: RawTarget;
  const hosts: RawTarget[] = [];
  let backend: BackendServer;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'backdial-test-'));
    target = await startRawTarget();
    for (const name of ['exact.example.org', '_.example.org', '_']) {
      await mkdir(join(folder, name));
      hosts.push(await startRawTarget({ path: join(folder, name, 'tls-socket') }));
    }
    const to = { tls: 'passthrough', target: { host: '127.0.0.1', port: target.port }, secrets: [] } as const;
    const { cert, key } = issueCertificate(['DNS:own.example.net']);
    backend = await startBackendServer(null, {
      listen: [{ address: { host: '127.0.0.1', port: 0 }, proxyProtocol: [{ address: '127.0.0.1', prefix: 32 }] }],
      certificates: [{ hosts: ['own.example.net'], cert, key }],
      domains: [
        { name: 'exact.example.com', ...to },
        { name: '*.example.com', ...to },
      ],
      sni: { hosts: folder },
    });
  });
  after(async () => {
    await backend?.close();
    for (const one of [target, ...hosts]) await one?.close();
    await rm(folder, { recursive: true });
  });

  for (const [serverName, what] of Object.entries(ROUTES)) {
    test(what, async () => {
      const all = [target, ...hosts];
      const index = ['its folder', 'a wildcard folder', 'the fallback folder'].indexOf(what);
      const expected = all[index + 1] as RawTarget;
      for (const version of [1, 2] as const) {
        const header = proxyHeader(version, VISITOR, HERE);
        for (const sent of [hello({ serverName }), records(helloMessage({ serverName }), 7)]) {
          const wanted = Buffer.concat([sent, Buffer.from('and early data')]);
          const all = Buffer.concat([header, wanted]);
          const cuts = [[], [header.length], [header.length - 1], [header.length + 1], [9, header.length + 40]];
          for (const cut of [...cuts, Array.from(all.keys()).slice(1)]) {
            const visitor = await connectPeer(backend.frontDoor);
            for (const [at, start] of [0, ...cut].entries()) await visitor.send(all.subarray(start, cut[at]));
            visitor.fin();
            const peer = await expected.next();
            assert.equal((await within('the end', peer.ending)).verdict, 'clean');
            assert.ok(peer.bytes.equals(wanted), `version ${version}, cut at ${cut.slice(0, 9)}: ${peer.length} bytes`);
            peer.fin();
            await within('the end', visitor.ending);
            visitor.close();
          }
        }
      }
      const remotes = backend.events.of('access').map(({ record: { remote } }) => remote);
      assert.deepEqual([...new Set(remotes)], ['203.0.113.7:51442']);
    });
  }
});
