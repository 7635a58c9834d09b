import assert from 'node:assert/strict';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import { describe, it, mock } from 'node:test';
import * as tls from 'node:tls';
import type { ResolvedTarget } from '../../src/agent/resolve-routes.ts';
import { type RequesterWish, TargetConnections } from '../../src/agent/target-connections.ts';
import type { Requester } from '../../src/net/upstream-handler.ts';
import { testAuthority, testCertificate } from '../support/certificates.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { startRawTarget } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { within } from '../support/within.ts';

const OPEN = { timeoutMs: 30_000 };
const WISH: RequesterWish = { upgrade: false, repeatable: true, fresh: false };

const tcp = (port: number): ResolvedTarget => ({ kind: 'tcp', host: '127.0.0.1', port });
const https = (port: number): ResolvedTarget => {
  return { kind: 'https', host: 'localhost', port, verify: true, ca: testAuthority().cert };
};

/** Sends a GET and reads its answer to the end; the status. */
function ask(requester: Requester): Promise<number> {
  const answer = new Promise<number>((resolve, reject) => {
    let status = 0;
    const handler = {
      upstreamInterim: () => {},
      upstreamHead: (head: { status: number }) => {
        status = head.status;
      },
      upstreamData: () => {},
      upstreamEnd: () => resolve(status),
      upstreamDrain: () => {},
      upstreamFailed: reject,
    };
    const request = {
      method: 'GET',
      target: '/',
      headers: ['Host', 'localhost'],
      framing: 'none',
      upgrade: false,
    } as const;
    requester.start(request, handler, 30_000, 30_000);
    requester.finish([]);
  });
  return within('an answer', answer);
}

/** A target that counts its connections and answers 204; `h2` speaks HTTP/2 alone, https with ALPN, `streams` a session. */
async function withTarget(
  kind: 'http' | 'h2',
  body: (connections: TargetConnections, accepted: () => number) => Promise<void>,
  streams = 100,
): Promise<void> {
  const { cert, key } = testCertificate();
  const server =
    kind === 'http'
      ? http.createServer((_request, response) => response.writeHead(204).end())
      : http2.createSecureServer({ cert, key, settings: { maxConcurrentStreams: streams } });
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  if (kind === 'h2') {
    server.on('sessionError', () => {});
    server.on('stream', (stream: http2.ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 204 }, { endStream: true });
    });
  }
  const close = closerOf(server);
  const port = await listenOn(server);
  const connections = new TargetConnections(kind === 'http' ? tcp(port) : https(port), null);
  try {
    await body(connections, () => accepted);
  } finally {
    connections.close();
    await close();
  }
}

describe('the connections to a target of HTTP/1.1', () => {
  it('are kept and used again, one exchange at a time', () =>
    withTarget('http', async (connections, accepted) => {
      const first = await connections.lease(WISH, OPEN);
      assert.equal(first.reused, false);
      const beside = await connections.lease(WISH, OPEN);
      assert.equal(beside.reused, false, 'the first one is in use');
      assert.deepEqual(await Promise.all([ask(first.requester), ask(beside.requester)]), [204, 204]);
      const again = await connections.lease(WISH, OPEN);
      assert.equal(again.reused, true);
      assert.equal(await ask(again.requester), 204);
      assert.equal(accepted(), 2);
    }));

  it('are not used again by who wants a new one', () =>
    withTarget('http', async (connections, accepted) => {
      assert.equal(await ask((await connections.lease(WISH, OPEN)).requester), 204);
      const { requester, reused } = await connections.lease({ ...WISH, fresh: true }, OPEN);
      assert.equal(reused, false);
      assert.equal(await ask(requester), 204);
      assert.equal(accepted(), 2);
    }));

  it('that were free for long carry no request that may not be sent twice', () =>
    withTarget('http', async (connections, accepted) => {
      const once = { ...WISH, repeatable: false };
      assert.equal(await ask((await connections.lease(WISH, OPEN)).requester), 204);
      const soon = await connections.lease(once, OPEN);
      assert.equal(soon.reused, true);
      assert.equal(await ask(soon.requester), 204);
      const later = performance.now() + 1_001;
      const clock = mock.method(performance, 'now', () => later);
      const { requester, reused } = await connections.lease(once, OPEN);
      clock.mock.restore();
      assert.equal(reused, false);
      assert.equal(await ask(requester), 204);
      assert.equal(accepted(), 2);
    }));

  it('can be opened before they are wanted, once', () =>
    withTarget('http', async (connections, accepted) => {
      await connections.prepare(OPEN);
      await connections.prepare(OPEN);
      const { requester, reused } = await connections.lease(WISH, OPEN);
      assert.equal(reused, false, 'nothing went over it before');
      assert.equal(await ask(requester), 204);
      assert.equal(accepted(), 1);
    }));

  it('begin with the header that they are given, and end when they are not wanted any more', async () => {
    const target = await startRawTarget();
    try {
      const connections = new TargetConnections(tcp(target.port), Buffer.from('PROXY UNKNOWN\r\n'));
      await connections.prepare(OPEN);
      const peer = await target.next();
      connections.close();
      await within('the end of what is free', peer.ending);
      assert.equal(peer.text, 'PROXY UNKNOWN\r\n');
      await connections.prepare(OPEN);
      await within('the end of what was opened after that', (await target.next()).ending);
    } finally {
      await target.close();
    }
  });

  it('fail with the code of the fault, and with the reason of who gave up', async () => {
    const target = await startRawTarget();
    await target.close();
    const connections = new TargetConnections(tcp(target.port), null);
    await assert.rejects(connections.lease(WISH, OPEN), { code: 'target-refused' });
    const reason = new Error('the visitor left');
    await assert.rejects(connections.lease(WISH, { ...OPEN, signal: AbortSignal.abort(reason) }), reason);
  });
});

describe('the connections to a target that chooses HTTP/2', () => {
  it('are one session for all, also for those that come while it is chosen', () =>
    withTarget('h2', async (connections, accepted) => {
      const leases = await Promise.all(Array.from({ length: 20 }, () => connections.lease(WISH, OPEN)));
      const statuses = await Promise.all(leases.map(({ requester }) => ask(requester)));
      assert.deepEqual(new Set(statuses), new Set([204]));
      assert.equal((await connections.lease(WISH, OPEN)).reused, true);
      assert.equal(accepted(), 1);
    }));

  it('are more sessions where more come at once than one may take: none is turned away', () =>
    withTarget('h2', async (connections, accepted) => {
      await Promise.all(Array.from({ length: 620 }, () => connections.lease(WISH, OPEN)));
      assert.equal(accepted(), 7);
    }));

  it('are as many as it takes where the target allows few at a time: it has to refuse none', () =>
    withTarget(
      'h2',
      async (connections, accepted) => {
        const asked = Array.from({ length: 20 }, async () => ask((await connections.lease(WISH, OPEN)).requester));
        assert.deepEqual(new Set(await Promise.all(asked)), new Set([204]));
        assert.ok(accepted() <= 10, `${accepted()} sessions`);
      },
      2,
    ));

  it('are not tried again and again where the target allows none at all', () =>
    withTarget(
      'h2',
      async (connections, accepted) => {
        const waiting = [connections.lease(WISH, OPEN), connections.lease(WISH, OPEN)];
        for (const lease of waiting) await assert.rejects(lease, { code: 'target-invalid' });
        assert.equal(accepted(), 1);
      },
      0,
    ));

  it('serve who waits for one when no further are wanted, and end with them', () =>
    withTarget('h2', async (connections, accepted) => {
      const waiting = connections.lease(WISH, OPEN);
      connections.close();
      assert.equal(await ask((await waiting).requester), 204);
      assert.equal(accepted(), 1);
    }));

  it('serve who waits for what a target has yet to say, also when no further are wanted by then', async () => {
    const target = http2.createSecureServer(testCertificate());
    target.on('stream', (stream: http2.ServerHttp2Stream) => stream.respond({ ':status': 204 }, { endStream: true }));
    const close = closerOf(target);
    const connections = new TargetConnections(https(await listenOn(target)), null);
    // The agent has chosen by then, and no SETTINGS are on their way.
    target.prependListener('secureConnection', () => connections.close());
    try {
      assert.equal(await ask((await connections.lease(WISH, OPEN)).requester), 204);
    } finally {
      await close();
    }
  });

  it(
    'fail in time where the target chose HTTP/2 and says nothing in it',
    undisturbed(async () => {
      const silent = tls.createServer({ ...testCertificate(), ALPNProtocols: ['h2'] }, (socket) => {
        socket.on('error', () => {});
        socket.resume();
      });
      const close = closerOf(silent);
      const connections = new TargetConnections(https(await listenOn(silent)), null);
      try {
        const error = await connections.lease(WISH, { timeoutMs: 300 }).catch((thrown) => thrown);
        assert.equal(error.code, 'target-timeout');
        const [, leftMs] = /did not come within (\d+) ms/.exec(error.message) ?? [];
        assert.ok(Number(leftMs) < 300, `the handshake left ${leftMs} of 300 ms`);
      } finally {
        await close();
      }
    }),
  );

  it('are given up with the last who waits, and one who leaves costs no other', async () => {
    const silent = await startRawTarget();
    try {
      const connections = new TargetConnections(https(silent.port), null);
      const [first, second] = [new AbortController(), new AbortController()];
      const waiting = [first, second].map(({ signal }) => connections.lease(WISH, { ...OPEN, signal }));
      const outcomes = Promise.allSettled(waiting);
      const peer = await silent.next();
      const reason = new Error('the visitor left');
      first.abort(reason);
      await assert.rejects(waiting[0] ?? Promise.resolve(), reason);
      assert.equal(peer.raw.readableEnded, false, 'the other one still waits');
      second.abort(reason);
      await outcomes;
      await within('the end of the connection', peer.ending);
      assert.equal(silent.peers.length, 1);
    } finally {
      await silent.close();
    }
  });
});
