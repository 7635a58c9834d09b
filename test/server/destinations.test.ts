import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { dialDestination } from '../../src/server/destinations.ts';
import { DomainTable } from '../../src/server/domain-table.ts';
import { Holder } from '../../src/server/holder.ts';
import type { DestinationGrant } from '../../src/server/options.ts';
import { resolveIdentity } from '../../src/server/resolve-grants.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';

const LOOPBACK = { address: '127.0.0.0', prefix: 8 };

function holderOf(destinations: readonly DestinationGrant[]): Holder {
  const identity = resolveIdentity({ identity: 'ci', certificate: 'a.test', destinations });
  return new Holder([{ kind: 'identity', identity }], () => new DomainTable([]));
}

describe('a granted destination', () => {
  it('is dialled at the address that was checked: others of its name are left out', async () => {
    const server = createServer((socket) => socket.end('reached'));
    const close = closerOf(server);
    const port = await listenOn(server);
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      // What a second look-up would give leads elsewhere.
      return asked.length === 1 ? ['192.0.2.1', '127.0.0.1'] : ['192.0.2.1'];
    };
    try {
      const socket = await dialDestination(
        holderOf([{ host: LOOPBACK, ports: null }]),
        { host: 'db.lan', port },
        { resolve },
      );
      assert.equal(socket.remoteAddress, '127.0.0.1');
      assert.deepEqual(asked, ['db.lan']);
      socket.destroy();
    } finally {
      await close();
    }
  });

  it('is refused where no address of the name is granted, and then never dialled', async () => {
    const resolve = async () => ['127.0.0.1', '169.254.169.254', '::1'];
    const holder = holderOf([{ host: { address: '10.0.0.0', prefix: 8 }, ports: null }]);
    await assert.rejects(dialDestination(holder, { host: 'evil.test', port: 1 }, { resolve }), {
      code: 'grant-missing',
    });
  });

  it('is not looked up where no grant could allow it', async () => {
    const resolve = async () => assert.fail('it was looked up');
    const holder = holderOf([
      { host: 'db.lan', ports: null },
      { host: LOOPBACK, ports: { first: 5_432, last: 5_432 } },
    ]);
    for (const [host, port] of [
      ['other.lan', 22],
      ['192.0.2.1', 5_432],
      ['127.0.0.1', 22],
    ] as const) {
      await assert.rejects(dialDestination(holder, { host, port }, { resolve }), { code: 'grant-missing' });
    }
  });

  it('that does not answer says so, not that another address of its name is not granted', async () => {
    const server = createServer();
    const port = await listenOn(server);
    await new Promise((resolve) => server.close(resolve));
    const holder = holderOf([{ host: LOOPBACK, ports: null }]);
    const resolve = async () => ['127.0.0.1', '192.0.2.1'];
    await assert.rejects(dialDestination(holder, { host: 'db.lan', port }, { resolve }), { code: 'target-refused' });
    const unknown = async () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }));
    await assert.rejects(dialDestination(holder, { host: 'db.lan', port }, { resolve: unknown }), {
      code: 'target-unresolved',
    });
  });

  it('is given up with its caller', async () => {
    const resolve = async () => ['127.0.0.1'];
    const signal = AbortSignal.abort(new Error('gone'));
    const holder = holderOf([{ host: LOOPBACK, ports: null }]);
    await assert.rejects(dialDestination(holder, { host: 'db.lan', port: 1 }, { resolve, signal }), {
      message: 'gone',
    });
  });

  it('is given up with its caller, or in time, where nobody says what addresses its name has', async (context) => {
    const holder = holderOf([{ host: LOOPBACK, ports: null }]);
    const resolve = () => new Promise<never>(() => {});
    const caller = new AbortController();
    const left = dialDestination(holder, { host: 'db.lan', port: 1 }, { resolve, signal: caller.signal });
    caller.abort(new Error('gone'));
    await assert.rejects(left, { message: 'gone' });
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const late = dialDestination(holder, { host: 'db.lan', port: 1 }, { resolve });
    context.mock.timers.tick(10_000);
    await assert.rejects(late, { code: 'target-unresolved', message: /db\.lan: no answer within 10000 ms/ });
  });
});
