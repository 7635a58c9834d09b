import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type BackendServer, startBackendServer } from '../support/backend-server.ts';
import { connectPeer, type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testStreamEndings } from '../support/stream-ends.ts';

const LISTEN = [{ host: '127.0.0.1', port: 0 }];
const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

function closed<T extends { close(): Promise<unknown> }>(one: T): T {
  closers.push(() => one.close());
  return one;
}

for (const tls of [false, true]) {
  let target: RawTarget;
  let backend: BackendServer;
  before(async () => {
    target = closed(await startRawTarget({ tls }));
    const to = { host: '127.0.0.1', port: target.port };
    backend = closed(
      await startBackendServer({ target: to, ...(tls ? { tls: 'passthrough' } : {}), listen: tls ? [] : LISTEN }),
    );
  });
  testStreamEndings(`to a target beside the server, ${tls ? 'TLS passed through' : 'by its TCP port'}`, async () => {
    const visitor = await connectPeer(tls ? backend.frontDoor : backend.tcp, { tls });
    return { visitor, target: await target.next() };
  });
}

// Unix sockets know no reset: what is one on the visitor's side is an end at the target, and the other way round.
for (const [where, hosts] of [
  ['to the hosts folder', true],
  ['to a target at a Unix socket, TLS passed through', false],
] as const) {
  let target: RawTarget;
  let backend: BackendServer;
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'backdial-test-'));
    closers.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, 'www.example.com'));
    const path = join(folder, 'www.example.com', 'tls-socket');
    target = closed(await startRawTarget({ tls: true, path }));
    backend = closed(
      await (hosts
        ? startBackendServer(null, { sni: { hosts: folder } })
        : startBackendServer({ tls: 'passthrough', target: { path } })),
    );
  });
  testStreamEndings(
    where,
    async () => {
      const visitor = await connectPeer(backend.frontDoor, { tls: true });
      return { visitor, target: await target.next() };
    },
    { knowsResets: false },
  );
}
