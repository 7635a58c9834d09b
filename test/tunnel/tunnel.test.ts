import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import type { IncomingStream } from '../../src/tunnel/agent-session.ts';
import { type TurnedPair, turnedPair } from '../support/turned-pair.ts';

const TIMEOUTS = { readMs: 1234, writeMs: 567 };
const DIAL = { way: 'library', transaction: '0' } as const;

async function withPair(
  onStream: (stream: IncomingStream) => void,
  body: (pair: TurnedPair) => Promise<void>,
  options: Parameters<typeof turnedPair>[1] = {},
): Promise<void> {
  const pair = await turnedPair(onStream, options);
  try {
    await body(pair);
  } finally {
    pair.close();
  }
}

/** How the end of a stream looked: its error, or that it ended cleanly. */
async function verdictOf(stream: Duplex): Promise<string> {
  stream.resume();
  return await new Promise((resolve) => {
    stream.on('error', () => resolve('cut'));
    stream.on('end', () => resolve('clean'));
  });
}

test('a stream carries bytes and half-closes both ways', async () => {
  const echo = (incoming: IncomingStream): void => {
    const stream = incoming.accept(TIMEOUTS);
    void text(stream).then((all) => stream.end(`you said ${all}`));
  };
  await withPair(echo, async ({ server }) => {
    const stream = await server.open('www.test:443', DIAL);
    stream.end('hello');
    assert.equal(await text(stream), 'you said hello');
    assert.deepEqual(server.timeouts, TIMEOUTS);
  });
});

test('a stream that closed tells all that listened, and keeps none of them', async () => {
  const accepted: Duplex[] = [];
  const accept = (incoming: IncomingStream): void => {
    accepted.push(incoming.accept(TIMEOUTS).resume().end());
  };
  await withPair(accept, async ({ server }) => {
    const stream = await server.open('www.test', DIAL);
    await Promise.all([once(stream.resume().end(), 'close'), once(stream, 'close')]);
    const [far] = accepted;
    assert.ok(far);
    if (!far.closed) await once(far, 'close');
    for (const each of [stream, far]) assert.deepEqual(each.eventNames(), ['error']);
  });
});

test('the head of a stream reaches the agent', async () => {
  const heads: unknown[] = [];
  const accept = (incoming: IncomingStream): void => {
    heads.push(incoming.head);
    incoming.accept(TIMEOUTS).resume().end();
  };
  await withPair(accept, async ({ server }) => {
    const options = { way: 'tcp', transaction: 'id-1', client: '203.0.113.7:51442', http: true } as const;
    (await server.open('db.test:5432', options)).resume().end();
    const { way, transaction, client, http } = options;
    assert.deepEqual(heads, [{ authority: 'db.test:5432', way, http, transaction, client }]);
  });
});

test('a refusal carries its code', async () => {
  await withPair(
    (incoming) => incoming.refuse('target-refused'),
    async ({ server }) => {
      await assert.rejects(server.open('www.test', DIAL), { code: 'target-refused' });
      assert.equal(server.usable, true);
    },
  );
});

test('an agent that does not answer a CONNECT fails the dial with dial-timeout and learns of it', async () => {
  const left: AbortSignal[] = [];
  await withPair(
    (incoming) => void left.push(incoming.signal),
    async ({ server }) => {
      await assert.rejects(server.open('www.test', DIAL), { code: 'dial-timeout' });
      const [signal] = left;
      assert.ok(signal);
      if (!signal.aborted) await once(signal, 'abort');
    },
    { dialTimeoutMs: 300 },
  );
});

test('an aborted dial fails with dial-aborted and leaves no stream behind', async () => {
  await withPair(
    () => {},
    async ({ server }) => {
      const abort = new AbortController();
      const dial = server.open('www.test', { ...DIAL, signal: abort.signal });
      setImmediate(() => abort.abort());
      await assert.rejects(dial, { code: 'dial-aborted' });
      while (server.streamCount > 0) await new Promise(setImmediate);
    },
  );
});

type Cut = (pair: TurnedPair, agentStream: Duplex) => void;

const CUTS: Record<string, Cut> = {
  'the agent resets the stream': (_pair, stream) => void stream.destroy(new BackdialError('target-lost')),
  'the link is closed by the agent (FIN)': (pair) => void pair.agentRaw.end(),
  'the link is reset by the agent (RST)': (pair) => void pair.agentRaw.resetAndDestroy(),
  'the link is destroyed at the server': (pair) => void pair.serverRaw.destroy(),
  'the agent ends the tunnel at once': (pair) => pair.agent.destroy(),
  'the server ends the tunnel at once': (pair) => pair.server.destroy(),
};

for (const [name, cut] of Object.entries(CUTS)) {
  for (const ended of [false, true]) {
    const state = ended ? 'had ended its own direction' : 'could still write';
    test(`a stream whose far end is cut never ends cleanly: ${name}, the reader ${state}`, async () => {
      const agentStreams: Duplex[] = [];
      const accept = (incoming: IncomingStream): void => {
        const stream = incoming.accept(TIMEOUTS);
        stream.on('error', () => {});
        stream.resume().write('half an answer');
        agentStreams.push(stream);
      };
      await withPair(accept, async (pair) => {
        const stream = await pair.server.open('www.test', DIAL);
        const [agentStream] = agentStreams;
        assert.ok(agentStream);
        const agentEnded = ended ? once(agentStream, 'end') : undefined;
        if (ended) stream.end();
        await Promise.all([once(stream, 'readable'), agentEnded]);
        const verdict = verdictOf(stream);
        cut(pair, agentStream);
        assert.equal(await verdict, 'cut');
      });
    });
  }
}

test('a visitor who leaves is a cut at the agent, whether or not it had ended its direction', async () => {
  for (const ended of [false, true]) {
    const verdicts: Promise<string>[] = [];
    const accept = (incoming: IncomingStream): void => {
      const stream = incoming.accept(TIMEOUTS);
      stream.write('x');
      verdicts.push(
        new Promise((resolve) => {
          stream.on('error', () => resolve('cut'));
          stream.on('close', () => resolve('closed'));
          stream.resume();
        }),
      );
    };
    await withPair(accept, async ({ server }) => {
      const stream = await server.open('www.test', DIAL);
      if (ended) stream.end();
      await once(stream, 'readable');
      stream.destroy(new BackdialError('visitor-reset'));
      assert.equal(await verdicts[0], 'cut');
    });
  }
});

test('the agent allows as many streams as its concurrency says', async () => {
  await withPair(
    (incoming) => void incoming.accept(TIMEOUTS).resume(),
    async ({ server }) => {
      await server.open('www.test', DIAL);
      assert.equal(server.streamLimit, 7);
      assert.equal(server.streamCount, 1);
    },
    { concurrency: 7 },
  );
});
