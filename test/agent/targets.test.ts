import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { ExchangeServer } from '../../src/agent/exchange-server.ts';
import { joinStream } from '../../src/agent/join.ts';
import type { ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import type { TunnelInfo, Way } from '../../src/core/events.ts';
import { issueCertificate, testAuthority } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { listenOn } from '../support/listen-on.ts';
import { type RawTarget, startRawTarget } from '../support/raw-target.ts';
import { testRoute, testTargets } from '../support/routes.ts';
import { type TurnedPair, turnedPair } from '../support/turned-pair.ts';
import { eventually, within } from '../support/within.ts';

const CA = testAuthority().cert;
const TUNNEL: TunnelInfo = { id: 'x', domain: 'www.test', instance: 'one', slot: 0, remote: 'here', node: 'n' };
const TIMEOUTS = { readMs: 60_000, writeMs: 20_000 };

/** A tunnel whose streams go to `target`, and what the access log says of them. */
async function withTarget(
  target: ResolvedTarget,
  body: (pair: TurnedPair, events: EventLog) => Promise<void>,
  connectTimeoutMs = 30_000,
): Promise<void> {
  const events = new EventLog();
  const { observer } = events;
  const targets = testTargets([testRoute(target)]);
  const reading = { exchanges: new ExchangeServer(), tellsExchanges: false };
  const server = 'server.test:443';
  const options = { targets, server, connectTimeoutMs, timeouts: TIMEOUTS, observer, ...reading };
  const pair = await turnedPair((stream) => void joinStream(stream, TUNNEL, options));
  try {
    await body(pair, events);
  } finally {
    pair.close();
    targets.close();
  }
}

function open(pair: TurnedPair, authority = 'www.test:443', way: Way = 'https', signal?: AbortSignal) {
  const dial = { way, transaction: 'tx', client: '203.0.113.7:1' };
  return pair.server.open(authority, signal === undefined ? dial : { ...dial, signal });
}

function tcp(port: number, host = '127.0.0.1'): ResolvedTarget {
  return { kind: 'tcp', host, port };
}

function https(port: number, more: { verify?: boolean; ca?: string | null; host?: string } = {}): ResolvedTarget {
  return { kind: 'https', host: 'localhost', port, verify: true, ca: CA, ...more };
}

async function withRawTarget(tls: boolean, body: (target: RawTarget) => Promise<void>): Promise<void> {
  const target = await startRawTarget({ tls });
  try {
    await body(target);
  } finally {
    await target.close();
  }
}

describe('a stream is joined', () => {
  test('to a TCP target: bytes, half-close and one line in the access log', () =>
    withRawTarget(false, (target) =>
      withTarget(tcp(target.port), async (pair, events) => {
        const stream = await open(pair);
        stream.end('ping');
        const peer = await target.next();
        await within('the half-close', peer.ending);
        assert.equal(peer.text, 'ping');
        peer.stream.end('pong!');
        assert.equal(await text(stream), 'pong!');
        const [access] = await events.until('access');
        const { start, durationMs, ...record } = access?.record ?? { start: 0, durationMs: -1 };
        assert.ok(Math.abs(Date.now() - start) < 10_000 && durationMs >= 0);
        assert.deepEqual(record, {
          domain: 'www.test',
          instance: 'one',
          id: 'tx',
          way: 'https',
          method: null,
          path: null,
          status: null,
          reason: 'done',
          in: 4,
          out: 5,
          remote: '203.0.113.7:1',
          ua: null,
          referer: null,
        });
        assert.deepEqual(pair.server.timeouts, TIMEOUTS);
      }),
    ));

  test('to an https target: its certificate is checked, half-close passes', () =>
    withRawTarget(true, (target) =>
      withTarget(https(target.port), async (pair) => {
        const stream = await open(pair);
        stream.end('ping');
        const peer = await target.next();
        await within('the half-close', peer.ending);
        peer.stream.end('pong');
        assert.equal(await text(stream), 'pong');
      }),
    ));

  for (const tls of [false, true]) {
    test(`a target that ends first (${tls ? 'https' : 'tcp'}) still gets what the visitor sends`, () =>
      withRawTarget(tls, (target) =>
        withTarget(tls ? https(target.port) : tcp(target.port), async (pair) => {
          const stream = await open(pair);
          const ended = new Promise((resolve) => stream.once('end', resolve));
          stream.resume();
          const peer = await target.next();
          peer.stream.end('bye');
          await within('the end of the target', ended);
          stream.end('last words');
          await within('the end of the visitor', peer.ending);
          assert.equal(peer.text, 'last words');
        }),
      ));
  }

  test('to a unix target', async () => {
    const path = join(tmpdir(), `backdial-${process.pid}.sock`);
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    server.listen(path);
    try {
      await withTarget({ kind: 'unix', path }, async (pair) => {
        const stream = await open(pair);
        stream.end('round trip');
        assert.equal(await text(stream), 'round trip');
      });
    } finally {
      server.close();
    }
  });

  for (const tls of [false, true]) {
    const kind = tls ? 'https' : 'tcp';
    test(`a reset of the visitor is a reset at the ${kind} target, and the other way round`, () =>
      withRawTarget(tls, (target) =>
        withTarget(tls ? https(target.port) : tcp(target.port), async (pair, events) => {
          const first = await open(pair);
          first.on('error', () => {});
          first.write('x');
          const peer = await target.next();
          await peer.received(1);
          await peer.send('y');
          await within('a byte back', new Promise((resolve) => first.once('data', resolve)));
          first.destroy(new Error('visitor left'));
          const { verdict } = await within('the target sees it', peer.ending);
          assert.equal(verdict, 'reset');
          assert.equal((await events.until('access'))[0]?.record.reason, 'visitor-reset');

          const second = await open(pair);
          const cut = new Promise((resolve) => second.once('error', resolve));
          second.resume().write('x');
          const again = await target.next();
          await again.received(1);
          again.reset();
          await within('the visitor sees it', cut);
          assert.equal((await events.until('access', 2))[1]?.record.reason, 'target-lost');
        }),
      ));
  }
});

describe('a target that fails is named in the refusal', () => {
  const refusals: ReadonlyArray<[what: string, target: ResolvedTarget, code: string, status: number]> = [
    ['refuses', tcp(1), 'target-refused', 502],
    ['has a name that does not resolve', tcp(80, 'no-such-host.invalid'), 'target-unresolved', 502],
    ['is a socket file that is not there', { kind: 'unix', path: '/nowhere/x.sock' }, 'target-unreachable', 502],
  ];
  for (const [what, target, code, status] of refusals) {
    test(`one that ${what}: ${code}`, () =>
      withTarget(target, async (pair, events) => {
        await assert.rejects(open(pair), { code });
        const [access] = await events.until('access');
        assert.equal(access?.record.reason, code);
        assert.equal(access?.record.status, status);
      }));
  }

  test('a port that is not the target: port-unknown, and nothing is dialled', () =>
    withRawTarget(false, (target) =>
      withTarget(tcp(target.port), async (pair) => {
        await assert.rejects(open(pair, 'www.test:22', 'library'), { code: 'port-unknown' });
        assert.equal(target.peers.length, 0);
      }),
    ));

  test('TLS that nobody answers: target-timeout; garbage instead of TLS: target-tls', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}));
    const garbage = createServer((socket) => void socket.on('error', () => {}).write('HTTP/1.1 400 No\r\n\r\n'));
    try {
      const port = await listenOn(silent);
      await withTarget(https(port), (pair) => assert.rejects(open(pair), { code: 'target-timeout' }), 150);
      const garbagePort = await listenOn(garbage);
      await withTarget(https(garbagePort), (pair) => assert.rejects(open(pair), { code: 'target-tls' }));
    } finally {
      silent.close();
      garbage.close();
    }
  });

  test('a certificate that is not trusted: target-certificate, unless it need not be', () =>
    withRawTarget(true, async (target) => {
      const { port } = target;
      await withTarget(https(port, { ca: null }), (pair) => assert.rejects(open(pair), { code: 'target-certificate' }));
      const foreign = issueCertificate(['DNS:elsewhere.test']).cert;
      await withTarget(https(port, { ca: foreign }), (pair) =>
        assert.rejects(open(pair), { code: 'target-certificate' }),
      );
      await withTarget(https(port, { ca: null, verify: false }), async (pair) => {
        const stream = await open(pair);
        stream.on('error', () => {});
        stream.destroy();
      });
    }));

  test('a visitor that leaves while the target is being dialled cancels it', async () => {
    let connected = 0;
    const silent = createServer((socket) => {
      connected += 1;
      socket.on('error', () => {});
      socket.resume();
      socket.on('close', () => {
        connected -= 1;
      });
    });
    try {
      const port = await listenOn(silent);
      await withTarget(
        https(port),
        async (pair, events) => {
          const visitor = new AbortController();
          const dial = open(pair, 'www.test', 'https', visitor.signal);
          await eventually('the target is being dialled', () => connected === 1);
          visitor.abort();
          await assert.rejects(dial, { code: 'dial-aborted' });
          await eventually('the dial is cancelled', () => connected === 0);
          assert.equal((await events.until('access'))[0]?.record.reason, 'visitor-reset');
        },
        60_000,
      );
    } finally {
      silent.close();
    }
  });
});
