import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { testAuthority } from '../support/certificates.ts';
import { withRouted } from '../support/routed.ts';
import { startToldTarget, type Told, type ToldTarget, type ToldTargetOptions } from '../support/told-target.ts';
import { within } from '../support/within.ts';

/** Starts targets by name, and closes them after `body`. */
async function withTargets(
  names: Readonly<Record<string, ToldTargetOptions>>,
  body: (targets: Readonly<Record<string, ToldTarget>>) => Promise<void>,
): Promise<void> {
  const targets: Record<string, ToldTarget> = {};
  try {
    for (const [name, options] of Object.entries(names)) targets[name] = await startToldTarget(name, options);
    await body(targets);
  } finally {
    for (const target of Object.values(targets)) await target.close();
  }
}

const url = (target: ToldTarget | undefined) => `http://127.0.0.1:${target?.port}`;

describe('the routes of an agent', () => {
  test('take requests by method and path, the first that matches; what none takes is a 404 of the agent', () =>
    withTargets({ api: {}, writes: {}, files: {} }, ({ api, writes, files }) =>
      withRouted(
        {
          keys: `targets: [
            { name: "api", method: "^(GET|HEAD)$", path: "^/api/", target: "${url(api)}" },
            { name: "writes", method: "^(POST|PUT)$", path: "^/api/", target: "${url(writes)}" },
            { path: "\\\\.(css|js)$", target: "${url(files)}" },
          ]`,
        },
        async ({ ask, curl, agentEvents }) => {
          assert.equal((await ask<Told>('/api/x?y=/z.css')).target, 'api');
          assert.equal((await ask<Told>('/api/x', '--data', 'body')).target, 'writes');
          assert.equal((await ask<Told>('/a%20b/site.css?v=1')).path, '/a%20b/site.css?v=1');
          assert.equal((await ask<Told>('//api/site.js')).target, 'files');
          for (const version of ['--http1.1', '--http2']) {
            const answer = await curl('/API/x', version);
            assert.equal(answer.status, 404);
            assert.match(answer.text, /^proxy-status: one; error=[a-z_]+; details="no-route"\r$/im);
          }
          assert.equal((await curl('/api/x', '--request', 'DELETE')).status, 404);
          const { record } = await agentEvents.wait('access', (event) => event.record.reason === 'no-route');
          assert.deepEqual([record.method, record.path, record.status], ['GET', '/API/x', 404]);
        },
      ),
    ));

  test('rewrite the path, set and remove parameters, and say the host that the target wants', () =>
    withTargets({ api: {} }, ({ api }) =>
      withRouted(
        {
          keys: `targets: [
            { path: "^/api/v(\\\\d+)/(.*)$", rewrite: "/$2/of/$1", query: { key: "a b&c", debug: null }, host: "target", target: "${url(api)}" },
            { path: "^/literal", rewrite: "", host: "intern.example:8080", target: "${url(api)}" },
            { target: "${url(api)}" },
          ]`,
        },
        async ({ ask }) => {
          const rewritten = await ask<Told>('/api/v2/users//%2e?debug=1&x=1&key=old&Debug=2');
          assert.equal(rewritten.path, '/users//%2e/of/2?x=1&Debug=2&key=a%20b%26c');
          assert.equal(rewritten.host, `127.0.0.1:${api?.port}`);
          const literal = await ask<Told>('/literal?q');
          assert.deepEqual([literal.path, literal.host], ['/?q', 'intern.example:8080']);
          const plain = await ask<Told>('/else?debug=1');
          assert.deepEqual([plain.path, plain.host], ['/else?debug=1', 'www.example.com']);
        },
      ),
    ));

  test('reach Unix sockets', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'backdial-test-'));
    const path = join(folder, 'app.sock');
    try {
      for (const route of [`{ target: "unix:${path}" }`, `{ path: "^/", target: "unix:${path}" }`]) {
        await withTargets({ app: { path } }, () =>
          withRouted({ keys: `targets: ${route}` }, async ({ ask }) => {
            assert.equal((await ask<Told>('/x')).target, 'app');
          }),
        );
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('follow a change at once, also on connections that visitors and server keep', () =>
    withTargets({ old: {}, young: {} }, ({ old, young }) =>
      withRouted({ keys: `targets: { target: "${url(old)}" }` }, async ({ port, change, serverEvents, tcp }) => {
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
        const options = { port, host: '127.0.0.1', servername: 'www.example.com', ca: testAuthority().cert };
        const get = () => answerOf(https.get({ ...options, headers: { host: 'www.example.com' }, agent }));
        assert.equal((await get()).target, 'old');
        const onTcp = new http.Agent({ keepAlive: true, maxSockets: 1 });
        const getOnTcp = () => answerOf(http.get({ port: tcp, host: '127.0.0.1', agent: onTcp }));
        const before = await getOnTcp();
        for (const [keys, target] of [
          [`targets: { target: "${url(young)}" }`, 'young'],
          [`targets: { path: "^/", target: "${url(old)}" }`, 'old'],
          [`targets: { path: "^/", target: "${url(young)}" }`, 'young'],
          [`targets: { target: "${url(old)}" }`, 'old'],
        ] as const) {
          await change(keys);
          // The server is told over the tunnel, a moment after the agent has changed.
          const until = performance.now() + 20_000;
          let told = await get();
          while (told.target !== target && performance.now() < until) told = await get();
          assert.equal(told.target, target);
        }
        agent.destroy();
        assert.equal(serverEvents.of('tunnel-opened').length, 1);
        // The TCP visitor's connection is its own, and is left alone.
        assert.deepEqual(await getOnTcp(), before);
        onTcp.destroy();
      }),
    ));

  test('cost no stranger more than a moment, whatever the pattern and the path', () =>
    withTargets({ api: {} }, ({ api }) =>
      withRouted(
        {
          keys: `targets: [
            { path: "^/(a+)+$", target: "${url(api)}" },
            { path: "^/(.*)*x(.*)*y(.*)*z$", target: "${url(api)}" },
            { path: "^/ok$", target: "${url(api)}" },
          ]`,
        },
        async ({ curl, ask }) => {
          const before = performance.eventLoopUtilization();
          const answers = await Promise.all(
            Array.from({ length: 20 }, (_, i) => curl(`/${'a'.repeat(7_000)}!${i}`, '--http1.1')),
          );
          assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([404]));
          // Node's own engine would still be at the first of them.
          const { active } = performance.eventLoopUtilization(before);
          assert.ok(active < 5_000, `${active} ms of the event loop`);
          assert.equal((await ask<Told>('/ok')).target, 'api');
        },
      ),
    ));

  test('take HTTP of the proxy and of the library, too', () =>
    withTargets({ api: {}, files: {} }, ({ api, files }) =>
      withRouted(
        { keys: `targets: [{ path: "^/api/", target: "${url(api)}" }, { target: "${url(files)}" }]` },
        async ({ server, proxy }) => {
          const agent = server.httpAgent();
          const dispatcher = server.dispatcher();
          try {
            for (const [path, target] of [
              ['/api/x', 'api'],
              ['/x', 'files'],
            ] as const) {
              for (const host of ['www.example.com', 'one.www.example.com']) {
                const asked = http.get({
                  host: '127.0.0.1',
                  port: proxy,
                  path: `http://${host}${path}`,
                  headers: { host },
                });
                assert.equal((await answerOf(asked)).target, target);
                assert.equal((await answerOf(http.get({ agent, host, path }))).target, target);
                const fetched = await fetch(`http://${host}${path}`, { dispatcher });
                assert.equal(((await fetched.json()) as Told).target, target);
              }
            }
          } finally {
            agent.destroy();
            await dispatcher.close();
          }
        },
      ),
    ));

  test('refuse byte streams that could mean several of them, and ports that are not listed', () =>
    withTargets({ api: {}, files: {} }, ({ api, files }) =>
      withRouted(
        {
          keys: `targets: [{ path: "^/api/", target: "${url(api)}" }, { target: "${url(files)}" }], ports: { 8080: "${url(api)}" }`,
        },
        async ({ server }) => {
          assert.equal((await askOver(await server.dial('www.example.com:8080'))).target, 'api');
          await assert.rejects(server.dial('www.example.com:443'), { code: 'no-route' });
          await assert.rejects(server.dial('one.www.example.com'), { code: 'no-route' });
          await assert.rejects(server.dial('www.example.com:8081'), { code: 'port-unknown' });
        },
      ),
    ));
});

/** One request on a byte stream. */
function askOver(stream: Duplex): Promise<Told> {
  return answerOf(http.get({ createConnection: () => stream, host: 'www.example.com' }));
}

async function answerOf(request: http.ClientRequest): Promise<Told> {
  const [response] = await within('an answer', once(request, 'response'));
  return JSON.parse(await text(response)) as Told;
}
