import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { BackdialError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ApiAccess } from '../../src/net/api-guard.ts';
import { type ApiRoute, valueProblems } from '../../src/net/api-route.ts';
import { type ApiServerOptions, createApiServer } from '../../src/net/api-server.ts';
import { connectPeer } from '../support/raw-target.ts';
import { undisturbed } from '../support/undisturbed.ts';
import { eventually, within } from '../support/within.ts';

const TOKEN = 'a token of a test, long enough: ü';
const LOOPBACK: ApiAccess = { listen: [{ host: '127.0.0.1', port: 0 }], token: null, names: ['vps.example.com'] };

/** What the routes of the tests know. */
class Things {
  readonly aborted: string[] = [];
  readonly release = Promise.withResolvers<void>();
  readonly routes: readonly ApiRoute[] = [
    { method: 'GET', path: '/', open: true, handle: () => ({ bytes: Buffer.from('<p>'), type: 'text/html' }) },
    {
      method: 'GET',
      path: '/things/{id}',
      operation: {
        summary: 'One thing',
        query: { loud: { description: 'loud', schema: { type: 'boolean' } } },
        responses: { 200: { description: 'it', schema: { type: 'object' } }, 404: { description: 'unknown' } },
      },
      handle: ({ parameters, query }) => ({ json: { id: parameters.id, loud: query.get('loud') } }),
    },
    {
      method: 'POST',
      path: '/things',
      operation: { summary: 'A new one', body: { type: 'object' }, responses: { 201: { description: 'made' } } },
      handle: async (request) => {
        const body = await request.json();
        if (typeof body !== 'object')
          return valueProblems([{ field: 'name', message: 'found nothing; allowed: a text' }]);
        return { status: 201, json: body };
      },
    },
    { method: 'DELETE', path: '/things/{id}', handle: () => ({ text: 'gone' }) },
    {
      method: 'GET',
      path: '/slow',
      handle: async ({ signal }) => {
        signal.addEventListener('abort', () => this.aborted.push('slow'));
        await this.release.promise;
        return { text: 'late' };
      },
    },
    {
      method: 'GET',
      path: '/fault',
      handle: () => {
        throw new Error('the secret of the house');
      },
    },
    {
      method: 'GET',
      path: '/refused',
      handle: () => {
        throw new BackdialError('api-not-found', 'no thing 7');
      },
    },
  ];
}

async function start(t: TestContext, access: ApiAccess = LOOPBACK, bounds: Partial<ApiServerOptions> = {}) {
  const things = new Things();
  const faults: Error[] = [];
  const info = { title: 'Things', version: '1', description: 'of a test' };
  const api = createApiServer({ info, routes: things.routes, onFault: (fault) => faults.push(fault), ...bounds });
  t.after(() => api.close());
  assert.deepEqual(await api.apply(access), []);
  const [address] = api.addresses;
  const port = address !== undefined && 'port' in address ? address.port : 0;
  const ask = (path: string, options: AskOptions = {}) => askAt(port, path, options);
  return { api, things, faults, port, ask };
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly host?: string;
  readonly socketPath?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function askAt(port: number, path: string, { body, host = '127.0.0.1', ...options }: AskOptions): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    const target = options.socketPath === undefined ? { host, port } : {};
    const request = httpRequest({ ...target, path, agent: false, ...options }, async (response) => {
      let text = '';
      for await (const part of response) text += String(part);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
    });
    request.on('error', reject);
    request.end(body);
  });
  return within(path, answer);
}

const codeOf = ({ text }: Answer) => (JSON.parse(text) as { error: string }).error;

describe('the API', () => {
  it('answers by its table of routes: parameters, queries, JSON in and out, HEAD', async (t) => {
    const { ask } = await start(t);
    const got = await ask('/things/a%2Fb?loud=1');
    assert.deepEqual([got.status, JSON.parse(got.text)], [200, { id: 'a/b', loud: '1' }]);
    assert.equal(got.headers['content-type'], 'application/json; charset=utf-8');
    assert.equal(got.headers['cache-control'], 'no-store');
    assert.equal(got.headers['x-content-type-options'], 'nosniff');
    const made = await ask('/things', { method: 'POST', body: '{"name":"ü"}' });
    assert.deepEqual([made.status, JSON.parse(made.text)], [201, { name: 'ü' }]);
    const head = await ask('/things/a', { method: 'HEAD' });
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '23']);
  });

  it('says what is wrong: 400, 404, 405, 413, 422, 500 without what is for the log', async (t) => {
    const { ask, faults } = await start(t);
    const wrongs: readonly (readonly [path: string, options: AskOptions, status: number, code: string])[] = [
      ['/nothing', {}, 404, 'api-not-found'],
      ['/things/a/b', {}, 404, 'api-not-found'],
      ['/things/', {}, 404, 'api-not-found'],
      ['/refused', {}, 404, 'api-not-found'],
      ['/things/%', {}, 400, 'request-invalid'],
      ['/things', {}, 405, 'method-refused'],
      ['/things', { method: 'OPTIONS' }, 405, 'method-refused'],
      ['/things', { method: 'POST' }, 400, 'request-invalid'],
      ['/things', { method: 'POST', body: '{' }, 400, 'request-invalid'],
      ['/things', { method: 'POST', body: '1' }, 422, 'api-value'],
      ['/things', { method: 'POST', body: `"${'a'.repeat(65_536)}"` }, 413, 'body-too-large'],
      ['/fault', {}, 500, 'internal'],
    ];
    for (const [path, options, status, code] of wrongs) {
      const answer = await ask(path, options);
      assert.deepEqual([answer.status, codeOf(answer)], [status, code], path);
      assert.ok(!answer.text.includes('house'));
    }
    assert.equal((await ask('/things')).headers.allow, 'POST');
    assert.equal((await ask('/things/a', { method: 'PUT' })).headers.allow, 'GET, HEAD, DELETE');
    assert.match(faults.map(({ message }) => message).join(), /house/);
    const { problems } = JSON.parse((await ask('/things', { method: 'POST', body: '1' })).text);
    assert.deepEqual(problems, [{ field: 'name', message: 'found nothing; allowed: a text' }]);
  });

  it('counts a body without a length, too, and answers before its end', async (t) => {
    const { port } = await start(t);
    const peer = await connectPeer(port);
    await peer.send('POST /things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
    await peer.send(`11000\r\n${'a'.repeat(0x11000)}\r\n`);
    assert.match(await peer.receivedText('\r\n\r\n'), /^HTTP\/1\.1 413 /);
    peer.close();
  });

  it('describes itself as OpenAPI 3.1', async (t) => {
    const { ask } = await start(t);
    const document = JSON.parse((await ask('/openapi.json')).text);
    assert.equal(document.openapi, '3.1.0');
    assert.deepEqual(Object.keys(document.paths), ['/things/{id}', '/things', '/openapi.json']);
    const { parameters, responses } = document.paths['/things/{id}'].get;
    assert.deepEqual(
      parameters.map(({ name }: { name: string }) => name),
      ['id', 'loud'],
    );
    assert.deepEqual(Object.keys(responses), ['200', '401', '403', '404']);
    assert.equal(document.paths['/things'].post.requestBody.content['application/json'].schema.type, 'object');
  });

  it('knows its own names, and no other', async (t) => {
    const { ask, port } = await start(t);
    for (const host of [
      'localhost',
      `LOCALHOST.:${port}`,
      '127.0.0.1',
      '127.9.9.9:1',
      `[::1]:${port}`,
      'vps.example.com',
    ]) {
      assert.equal((await ask('/things/a', { headers: { host } })).status, 200, host);
    }
    for (const host of [
      'evil.example',
      'evil',
      'localhost.evil.example',
      '127.0.0.1.nip.io',
      '10.0.0.1',
      'a b',
      '[::2]',
    ]) {
      const answer = await ask('/things/a', { headers: { host } });
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'api-foreign'], host);
    }
    const peer = await connectPeer(port);
    await peer.send('GET /things/a HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n');
    assert.match(await peer.receivedText('\r\n\r\n'), /^HTTP\/1\.1 400 /);
    peer.close();
  });

  it('does nothing for the page of another site', async (t) => {
    const { ask, port } = await start(t);
    const host = `127.0.0.1:${port}`;
    const own = await ask('/things/a', { method: 'DELETE', headers: { host, origin: `http://${host}` } });
    assert.equal(own.status, 200);
    for (const origin of [
      'http://evil.example',
      'null',
      `http://127.0.0.1:${port + 1}`,
      `http://localhost:${port}`,
      '',
    ]) {
      const answer = await ask('/things/a', { method: 'DELETE', headers: { host, origin } });
      assert.deepEqual([answer.status, codeOf(answer)], [403, 'api-foreign'], origin);
    }
  });

  it('asks for its token, except for what holds no data', async (t) => {
    const { ask } = await start(t, { ...LOOPBACK, token: new Secret(TOKEN) });
    const bearer = Buffer.from(`Bearer ${TOKEN}`, 'utf8').toString('latin1');
    assert.equal((await ask('/things/a', { headers: { authorization: bearer } })).status, 200);
    for (const authorization of ['Bearer', 'Bearer x', TOKEN.slice(0, -3), `Basic ${btoa('a:b')}`, `${bearer}x`]) {
      const answer = await ask('/things/a', { headers: { authorization } });
      assert.deepEqual([answer.status, codeOf(answer)], [401, 'api-token'], authorization);
    }
    assert.match((await ask('/nothing')).headers['www-authenticate'] ?? '', /^Bearer/);
    assert.equal((await ask('/')).status, 200);
    assert.equal((await ask('/', { headers: { host: 'evil.example' } })).status, 403);
  });

  it('is asked from this machine only where there is no token, and by any address or short name where there is one', async (t) => {
    const own = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
    const everywhere = { ...LOOPBACK, listen: [{ host: '0.0.0.0', port: 0 }] };
    const { api, port, ask } = await start(t, everywhere);
    assert.equal((await ask('/things/a')).status, 200);
    if (own !== undefined) assert.equal((await ask('/things/a', { host: own })).status, 403);
    await api.apply({ ...everywhere, token: new Secret('token') });
    const headers = { authorization: 'Bearer token' };
    for (const host of ['10.0.0.1:90', 'server:9090', `localhost:${port}`]) {
      assert.equal((await ask('/things/a', { headers: { ...headers, host } })).status, 200, host);
    }
    assert.equal((await ask('/things/a', { headers: { ...headers, host: 'evil.example' } })).status, 403);
  });

  it('listens at a Unix socket', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'backdial-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const socketPath = join(folder, 'api.sock');
    const { ask } = await start(t, { ...LOOPBACK, listen: [{ path: socketPath }] });
    assert.equal((await ask('/things/a', { socketPath, headers: { host: 'localhost' } })).status, 200);
    assert.equal((await ask('/things/a', { socketPath, headers: { host: 'evil.example' } })).status, 403);
  });

  it('follows other listeners and tokens while it runs', async (t) => {
    const { api, port, ask } = await start(t);
    const kept = { host: '127.0.0.1', port };
    await api.apply({ ...LOOPBACK, listen: [kept], token: new Secret('token') });
    // The port is another key than 0, so the listener is a new one.
    assert.equal((await ask('/things/a')).status, 401);
    assert.deepEqual(await api.apply(null), []);
    await assert.rejects(ask('/things/a'), { code: 'ECONNREFUSED' });
    const [failure] = await api.apply({ ...LOOPBACK, listen: [{ host: '203.0.113.1', port: 1 }] });
    assert.equal(failure?.code, 'listen-failed');
  });

  it(
    'answers what was asked before it closes, and waits for nobody who has nothing to ask',
    undisturbed(async (t) => {
      const { api, port, things, ask } = await start(t);
      const idle = await connectPeer(port);
      await idle.send('GET /things/a HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await idle.receivedText('}\n');
      const late = ask('/slow');
      const silent = await connectPeer(port);
      await eventually('both are there', () => api.addresses.length === 1);
      await ask('/things/a');
      const closed = api.close();
      await within('the end of the idle one', idle.ending, 900);
      await within('the end of the silent one', silent.ending, 900);
      things.release.resolve();
      const answer = await late;
      assert.deepEqual([answer.status, answer.headers.connection], [200, 'close']);
      await within('the end', closed, 900);
    }),
  );

  it('has so many connections at a time, and is there again once one of them has gone', async (t) => {
    const { port, ask } = await start(t, LOOPBACK, { maxConnections: 2 });
    const kept = await Promise.all([connectPeer(port), connectPeer(port)]);
    for (const peer of kept) {
      await peer.send('GET /things/a HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await peer.receivedText('}\n');
    }
    await assert.rejects(ask('/things/a'), { code: 'ECONNRESET' });
    kept[0]?.close();
    const status = async () => (await ask('/things/a').catch(() => null))?.status;
    let answered = await status();
    for (let tries = 1; answered !== 200 && tries < 100; tries += 1) answered = await status();
    assert.equal(answered, 200);
    kept[1]?.close();
  });

  it('ends a connection on which nothing moves, and what was done for it', async (t) => {
    const { things, ask } = await start(t, LOOPBACK, { idleTimeoutMs: 50 });
    await assert.rejects(ask('/slow'), { code: 'ECONNRESET' });
    await eventually('the route knows', () => things.aborted.length > 0);
  });

  it('cuts an answer that does not come within a second of its close', async (t) => {
    const { api, things, ask } = await start(t);
    const never = ask('/slow').catch((error: NodeJS.ErrnoException) => error.code);
    await ask('/things/a');
    await within('the end', api.close(), 20_000);
    assert.equal(await never, 'ECONNRESET');
    await eventually('the route knows', () => things.aborted.length > 0);
  });
});
