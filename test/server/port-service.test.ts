import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import test from 'node:test';
import { BackdialError, type ErrorCode } from '../../src/core/errors.ts';
import type { Holder } from '../../src/server/holder.ts';
import { PortService } from '../../src/server/port-service.ts';
import { eventually } from '../support/within.ts';

const CLAIM = { domain: 'www.test', instance: 'one', port: 9_090 };

type Said = ErrorCode | 'granted' | 'denied';

/**
 * A service with one port open, whose claim is `CLAIM` until it is another's, and what `authorise` says about it. With
 * `afterwards` the configuration changes while the port is being opened, and that is said then.
 */
async function holding(afterwards: Said | null = null) {
  const claims = [CLAIM];
  const says: Said[] = ['granted'];
  const revoked: number[] = [];
  const holderOf = (granted: boolean) =>
    ({ serving: () => ({ mayOpenPort: () => ({ granted, missing: 'a grant' }) }) }) as unknown as Holder;
  let asked = 0;
  const service: PortService = new PortService({
    gate: {
      authorise: () => {
        asked += 1;
        const said = says.shift() ?? 'granted';
        if (said === 'granted' || said === 'denied')
          return Promise.resolve({ holder: holderOf(said === 'granted') }) as never;
        return Promise.reject(new BackdialError(said));
      },
    },
    claims: {
      all: claims,
      async claim() {
        if (afterwards !== null) {
          says.push(afterwards);
          service.recheck();
        }
        return 'opened';
      },
      release: () => true,
      revoke: (port) => revoked.push(port),
    },
    options: { observer: () => {} },
  });
  const { domain, instance, port } = CLAIM;
  const headersDistinct = { 'backdial-domain': [domain], 'backdial-instance': [instance] };
  const request = { headersDistinct, socket: null } as unknown as IncomingMessage;
  const ask = (method: 'PUT' | 'DELETE') => service.answer({ method, port }, request, '127.0.0.1:1');
  assert.equal((await ask('PUT'))?.status, 201);
  return { service, says, revoked, claims, asked: () => asked, release: () => ask('DELETE') };
}

test('a port stays open while too many secrets wait to be checked, and until it is known that it may', async () => {
  const { service, says, revoked, asked } = await holding();
  says.push('connection-limit', 'connection-limit', 'granted');
  service.recheck();
  await eventually('it was checked', () => asked() === 4);
  assert.deepEqual(revoked, []);
});

for (const said of ['denied', 'secret-wrong', 'domain-unknown'] as const) {
  test(`a port is closed when the answer is ${said}, be it after a storm`, async () => {
    const { service, says, revoked } = await holding();
    says.push('connection-limit', said);
    service.recheck();
    await eventually('it is closed', () => revoked.length > 0);
    assert.deepEqual(revoked, [CLAIM.port]);
  });
}

for (const other of [{ instance: 'two' }, { domain: 'other.test' }]) {
  test(`a port that is another's by now is left to it: ${JSON.stringify(other)}`, async () => {
    const { service, says, revoked, claims, asked } = await holding();
    says.push('denied');
    claims[0] = { ...CLAIM, ...other };
    service.recheck();
    await new Promise(setImmediate);
    assert.deepEqual(revoked, []);
    assert.equal(asked(), 1, 'whoever held it is not asked about');
  });
}

test('a port that was given up is judged no more', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { service, says, revoked, asked, release } = await holding();
  says.push('connection-limit', 'granted', 'denied');
  service.recheck();
  assert.equal((await release())?.status, 200);
  for (let passed = 0; passed < 5_000; passed += 100) {
    t.mock.timers.tick(100);
    await new Promise(setImmediate);
  }
  assert.equal(asked(), 3, 'opened, judged once, given up');
  assert.deepEqual(revoked, []);
});

test('a port whose grant goes while it is being opened is closed', async () => {
  const { revoked } = await holding('denied');
  await eventually('it is closed', () => revoked.length > 0);
  assert.deepEqual(revoked, [CLAIM.port]);
});

test('a port that is refused again and again is told of when the answer changes, not each time', async () => {
  const told: string[] = [];
  let takenBy: string | null = null;
  let isGranted = true;
  const service = new PortService({
    gate: {
      authorise: () =>
        Promise.resolve({
          holder: { serving: () => ({ mayOpenPort: () => ({ granted: isGranted, missing: 'a grant' }) }) },
        }) as never,
    },
    claims: {
      all: [],
      async claim() {
        if (takenBy !== null) throw new BackdialError('port-taken', takenBy);
        return 'opened';
      },
      release: () => true,
      revoke: () => {},
    },
    options: { observer: (event) => void told.push(event.type === 'port-refused' ? event.detail : event.type) },
  });
  const ask = async (instance: string, port = 9_090): Promise<void> => {
    const headersDistinct = { 'backdial-domain': ['www.test'], 'backdial-instance': [instance] };
    const request = { headersDistinct, socket: null } as unknown as IncomingMessage;
    const answer = await service.answer({ method: 'PUT', port }, request, '127.0.0.1:1');
    assert.notEqual(answer, null, 'the agent is answered each time');
  };
  const news = async (asked: () => Promise<void>): Promise<readonly string[]> => {
    await asked();
    return told.splice(0);
  };
  const isTold = (what: readonly string[], by: string): void => {
    assert.equal(what.length, 1);
    assert.match(what[0] ?? '', new RegExp(by));
  };
  takenBy = 'one';
  isTold(await news(() => ask('a')), 'one');
  assert.deepEqual(await news(() => ask('a')), []);
  isTold(await news(() => ask('a', 9_091)), 'one');
  isTold(await news(() => ask('b')), 'one');
  takenBy = 'two';
  isTold(await news(() => ask('a')), 'two');
  isGranted = false;
  isTold(await news(() => ask('a')), 'a grant');
  assert.deepEqual(await news(() => ask('a')), []);
  isGranted = true;
  takenBy = null;
  isTold(await news(() => ask('a')), 'port-opened');
  takenBy = 'two';
  isTold(await news(() => ask('a')), 'two');
  assert.deepEqual(await news(() => ask('a')), []);
  service.instanceOnGone({ domain: 'www.test', instance: 'a' });
  isTold(await news(() => ask('a')), 'two');
  for (let port = 1; port <= 1_000; port += 1) await ask('many', port);
  told.length = 0;
  isTold(await news(() => ask('a')), 'two');
});
