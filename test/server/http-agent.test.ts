import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { createHttpAgent, type OpenStream } from '../../src/server/library.ts';
import { within } from '../support/within.ts';

/** Dials that lead to a server of node:http; `far`: its ends of the connections. */
function served(): { open: OpenStream; far: Duplex[] } {
  const server = http.createServer({ keepAliveTimeout: 0 }, (request, response) => request.pipe(response));
  const far: Duplex[] = [];
  const open: OpenStream = async () => {
    const [stream, other] = duplexPair();
    far.push(other);
    server.emit('connection', other);
    return { stream, instance: null, ended: null, leaving: null };
  };
  return { open, far };
}

test('a request that is given up while its connection is dialled fails at once, for that reason, and so does the dial', async () => {
  const dial = Promise.withResolvers<AbortSignal>();
  const agent = createHttpAgent((_name, { signal }) => {
    assert.ok(signal);
    dial.resolve(signal);
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const controller = new AbortController();
  const request = http.get({ host: 'www.test', agent, signal: controller.signal });
  const failed = once(request, 'error');
  const signal = await dial.promise;
  controller.abort();
  const [error] = await within('its error', failed, 5_000);
  assert.deepEqual([error.name, error.code], ['AbortError', 'ABORT_ERR']);
  assert.equal(signal.aborted, true);
  agent.destroy();
});

test('a request whose dial fails fails with what that says', async () => {
  const failure = new BackdialError('domain-unserved', 'www.test');
  const agent = createHttpAgent(() => Promise.reject(failure));
  const [error] = await once(http.get({ host: 'www.test', agent }), 'error');
  assert.equal(error, failure);
  agent.destroy();
});

test('what a request sends waits for its connection, which serves the next one, too', async () => {
  const { open, far } = served();
  const agent = createHttpAgent(open);
  for (const body of ['first', 'x'.repeat(200_000)]) {
    const request = http.request({ host: 'www.test', method: 'POST', agent });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(String(Buffer.concat(await response.toArray())), body);
    await new Promise(setImmediate);
  }
  assert.equal(far.length, 1);
  agent.destroy();
});

test('a stream that was opened for a request that was given up just then is cut', async () => {
  const { open } = served();
  const controller = new AbortController();
  const streams: Duplex[] = [];
  const agent = createHttpAgent(async (name, options) => {
    const dialled = await open(name, options);
    streams.push(dialled.stream);
    controller.abort();
    return dialled;
  });
  const request = http.get({ host: 'www.test', agent, signal: controller.signal });
  const [error] = await within('its error', once(request, 'error'), 5_000);
  assert.equal(error.name, 'AbortError');
  assert.deepEqual(
    streams.map(({ destroyed }) => destroyed),
    [true],
  );
  agent.destroy();
});

test('a connection that nobody uses is ended after `idleTimeoutMs`, one that is used again is not', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { open, far } = served();
  const agent = createHttpAgent(open, { idleTimeoutMs: 3_000 });
  const visit = async (): Promise<void> => {
    const request = http.get({ host: 'www.test', agent });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await response.toArray();
    await new Promise(setImmediate);
  };
  await visit();
  t.mock.timers.tick(2_000);
  await visit();
  t.mock.timers.tick(2_000);
  await visit();
  assert.equal(far.length, 1);
  t.mock.timers.tick(3_000);
  await new Promise(setImmediate);
  assert.deepEqual(Object.keys(agent.freeSockets), []);
  await visit();
  assert.equal(far.length, 2);
  agent.destroy();
});
