import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { HeaderRules } from '../../src/net/header-rules.ts';
import { Http2Sessions } from '../../src/net/http2-sessions.ts';
import type { UpstreamHandler, UpstreamRequest } from '../../src/net/upstream-handler.ts';
import { listenOn } from '../support/listen-on.ts';
import { within } from '../support/within.ts';

/** nghttp2 bears 10,000 answers to streams that were reset, and 330 more a second. */
const MORE_THAN_A_SESSION_BEARS = 12_500;
const AT_ONCE = 100;
const RULES = new HeaderRules({ maxLines: 100, drop: [] });
const REQUEST: UpstreamRequest = {
  method: 'GET',
  target: '/',
  headers: ['Host', 'www.test'],
  framing: 'none',
  upgrade: false,
};

/** What is told of an exchange that nobody waits for. */
const UNHEARD: UpstreamHandler = {
  upstreamInterim() {},
  upstreamHead() {},
  upstreamData() {},
  upstreamEnd() {},
  upstreamDrain() {},
  upstreamFailed() {},
};

/** The sessions with a target in this process. */
async function withSessions(
  onStream: (stream: ServerHttp2Stream) => void,
  body: (kit: { sessions: Http2Sessions; sockets: readonly Socket[]; adopt: () => Promise<Socket> }) => Promise<void>,
): Promise<void> {
  const target = createServer({ streamResetBurst: 1e6, streamResetRate: 1e6 });
  target.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    onStream(stream);
  });
  const port = await listenOn(target);
  const sessions = new Http2Sessions(RULES);
  const sockets: Socket[] = [];
  const adopt = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    sockets.push(socket);
    await sessions.adopt(socket, 2_000);
    return socket;
  };
  try {
    await body({ sessions, sockets, adopt });
  } finally {
    for (const socket of sockets) socket.destroy();
    target.close();
  }
}

test('exchanges that are given up just as the target answers them, however many, fail no other in their session', async () => {
  let targetOnStream = (_stream: ServerHttp2Stream): void => {};
  const onStream = (stream: ServerHttp2Stream): void => targetOnStream(stream);
  await withSessions(onStream, async ({ sessions, sockets, adopt }) => {
    await adopt();
    const longStream = new Promise<ServerHttp2Stream>((resolve) => {
      targetOnStream = resolve;
    });
    const longAnswer = new Promise<string>((resolve, reject) => {
      const upstreamHead: UpstreamHandler['upstreamHead'] = ({ status }) => resolve(String(status));
      sessions.open()?.start(REQUEST, { ...UNHEARD, upstreamHead, upstreamFailed: reject }, 0, 0);
    });
    const heldUp = await within('the long request', longStream);

    const givenUp: (() => void)[] = [];
    targetOnStream = (stream) => {
      stream.respond({ ':status': 200 });
      // The answer is on its way, and the reset meets it there.
      givenUp.shift()?.();
    };
    for (let given = 0; given < MORE_THAN_A_SESSION_BEARS; given += AT_ONCE) {
      if (!sessions.hasRoom) await adopt();
      const round = Array.from({ length: AT_ONCE }, async () => {
        const requester = sessions.open() ?? assert.fail('no room');
        requester.start(REQUEST, UNHEARD, 0, 0);
        await new Promise<void>((resolve) => givenUp.push(resolve));
        requester.fail(new BackdialError('visitor-reset'));
      });
      await within('a round', Promise.all(round));
      await new Promise(setImmediate);
    }
    heldUp.respond({ ':status': 201 }, { endStream: true });
    assert.equal(await within('the long answer', longAnswer), '201');
    assert.ok(sockets.length > 1 && sockets.length < 10, `${sockets.length} sessions`);
  });
});

test('a session whose target is silent takes no other exchange', async () => {
  await withSessions(
    () => {},
    async ({ sessions, adopt }) => {
      const socket = await adopt();
      const closed = once(socket, 'close');
      const upstreamFailed = Promise.withResolvers<BackdialError>();
      sessions.open()?.start(REQUEST, { ...UNHEARD, upstreamFailed: upstreamFailed.resolve }, 20, 0);
      assert.equal((await within('the time-out', upstreamFailed.promise)).code, 'target-silent');
      await within('the end of the session', closed);
      assert.equal(sessions.hasRoom, false);
    },
  );
});

test('a session that nobody uses ends after half a minute, be it that nobody ever did', async (context) => {
  const now = performance.now();
  const clock = context.mock.method(performance, 'now', () => now);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  await withSessions(
    (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
    async ({ sessions, adopt }) => {
      for (const isUsed of [false, true]) {
        const socket = await adopt();
        if (isUsed) await answered(sessions);
        // Its place is free a moment after its end was told.
        await new Promise(setImmediate);
        const closed = once(socket, 'close');
        clock.mock.mockImplementation(() => now + 60_000);
        context.mock.timers.tick(30_000);
        await closed;
        assert.equal(sessions.hasRoom, false);
        clock.mock.mockImplementation(() => now);
      }
    },
  );
});

test('a session that begins as all are closed is for who waits for it, and ends with the last exchange', async () => {
  await withSessions(
    (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
    async ({ sessions, adopt, sockets }) => {
      const adopting = adopt();
      while (sockets.length === 0) await new Promise(setImmediate);
      sessions.close();
      const closed = once(await adopting, 'close');
      await answered(sessions);
      await within('the end of the session', closed);
    },
  );
});

/** Resolves when one exchange was answered. */
function answered(sessions: Http2Sessions): Promise<void> {
  const requester = sessions.open() ?? assert.fail('no room');
  return new Promise((upstreamEnd, upstreamFailed) =>
    requester.start(REQUEST, { ...UNHEARD, upstreamEnd: () => upstreamEnd(), upstreamFailed }, 0, 0),
  );
}

test('any number of exchanges that are answered go through one session', async () => {
  const onStream = (stream: ServerHttp2Stream): void => stream.respond({ ':status': 200 }, { endStream: true });
  await withSessions(onStream, async ({ sessions, adopt }) => {
    await adopt();
    // More than may be given up unanswered.
    for (let asked = 0; asked < 8_000; asked += AT_ONCE) {
      await within('a round', Promise.all(Array.from({ length: AT_ONCE }, () => answered(sessions))));
      await new Promise(setImmediate);
    }
    assert.equal(sessions.hasRoom, true);
  });
});
