import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type ConfigDeployment, withConfigDeployment } from '../support/config-deployment.ts';
import { startHttpTarget } from '../support/http-target.ts';
import { OpenApiJudge } from '../support/openapi-judge.ts';
import { connectPeer } from '../support/raw-target.ts';
import { startCli } from '../support/run-cli.ts';
import { steadyPort } from '../support/steady-port.ts';
import { eventually } from '../support/within.ts';

const TOKEN = 'a token of a test, long enough';

interface Tunnel {
  readonly id: string;
  readonly domain: string;
  readonly rttMs: number | null;
  readonly receivedBytes: number;
}

async function withAdmin(body: (deployment: ConfigDeployment, admin: string, api: string) => Promise<void>) {
  const target = await startHttpTarget();
  try {
    await withConfigDeployment(target.port, async (deployment) => {
      const [admin, api] = [await steadyPort(), await steadyPort()];
      await deployment.change(
        'server/server.json5',
        deployment.serverFile({ admin: { listen: `127.0.0.1:${admin}`, token: TOKEN } }),
      );
      await deployment.change('agent/agent.json5', { log: { level: 'debug' }, api: { listen: `127.0.0.1:${api}` } });
      await body(deployment, `http://127.0.0.1:${admin}`, `http://127.0.0.1:${api}`);
    });
  } finally {
    await target.close();
  }
}

const ask = (url: string, options: RequestInit = {}) =>
  fetch(url, { ...options, headers: { authorization: `Bearer ${TOKEN}`, connection: 'close', ...options.headers } });

async function json<T>(url: string): Promise<T> {
  const response = await ask(url);
  assert.equal(response.status, 200, url);
  return (await response.json()) as T;
}

describe('the API of a server and of an agent', () => {
  it('is opened by a reload, and tells domains, tunnels, metrics; a tunnel that is asked to leave is made anew', () =>
    withAdmin(async (deployment, admin, api) => {
      assert.equal((await fetch(`${admin}/health`)).status, 401);
      assert.equal(await (await ask(`${admin}/health`)).text(), 'OK');
      assert.equal(await (await fetch(`${api}/health`)).text(), 'OK');

      const [domain] = await json<{ name: string; instances: { name: string; tunnels: number }[] }[]>(
        `${admin}/domains`,
      );
      assert.equal(domain?.name, 'www.example.com');
      assert.deepEqual(
        domain.instances.map(({ name, tunnels }) => [name, tunnels]),
        [['one', 2]],
      );
      const tunnels = await json<Tunnel[]>(`${admin}/tunnels`);
      assert.equal(tunnels.length, 2);
      for (const { rttMs, receivedBytes } of tunnels) assert.ok((rttMs ?? 0) > 0 && receivedBytes > 0);
      assert.equal((await json<Tunnel[]>(`${admin}/tunnels?domain=www.example.com`)).length, 2);
      assert.deepEqual(await json<Tunnel[]>(`${admin}/tunnels?domain=example.com`), []);
      const links = (await json<{ links: { state: string }[] }[]>(`${api}/domains`)).flatMap((each) => each.links);
      assert.deepEqual(
        links.map(({ state }) => state),
        ['live', 'live'],
      );

      const [first] = tunnels;
      assert.ok(first);
      assert.equal((await ask(`${admin}/tunnels/nothing`, { method: 'DELETE' })).status, 404);
      assert.equal((await ask(`${admin}/tunnels/${first.id}`, { method: 'DELETE' })).status, 200);
      assert.equal((await ask(`${admin}/tunnels/${first.id}`, { method: 'DELETE' })).status, 404);
      await deployment.server.see(/"event":"tunnel-draining".*"reason":"drained"/);
      await eventually('a third tunnel', () => deployment.events(deployment.server, 'tunnel-opened').length === 3);
      const ids = (await json<Tunnel[]>(`${admin}/tunnels`)).map(({ id }) => id);
      assert.ok(ids.length === 2 && !ids.includes(first.id), `${ids}`);

      const metrics = await (await ask(`${admin}/metrics`)).text();
      assert.match(metrics, /^backdial_server_active_registrations\{domain="www\.example\.com"\} 1$/m);
      assert.match(metrics, /^backdial_tunnel_ends_total\{reason="drained"\} 1$/m);
      assert.match(metrics, /^backdial_config_generation 2$/m);
      assert.match(
        await (await fetch(`${api}/metrics`)).text(),
        /^backdial_agent_tunnels\{domain="www\.example\.com"\} 2$/m,
      );

      deployment.write('server/server.json5', '{ listen: ');
      await deployment.server.see(/"event":"config-refused"/);
      assert.match(await (await ask(`${admin}/metrics`)).text(), /^backdial_config_last_reload_successful 0$/m);
      await deployment.change('server/server.json5', deployment.serverFile());
      await assert.rejects(ask(`${admin}/health`));
    }));

  it('answers as its OpenAPI document says: every operation, every status', () =>
    withAdmin(async (deployment, admin, api) => {
      await eventually('tunnels', () => deployment.events(deployment.server, 'tunnel-opened').length === 2);
      const judge = await OpenApiJudge.of(admin, ask);
      const [{ id } = { id: '' }] = await json<Tunnel[]>(`${admin}/tunnels`);
      for (const operation of judge.operations) {
        for (const parameter of [id, 'nothing']) await judge.check(operation, { id: parameter });
        await judge.check(operation, { id }, { headers: { authorization: 'Bearer wrong' } });
        await judge.check(operation, { id }, { headers: { origin: 'https://elsewhere.example' } });
      }
      assert.deepEqual(
        [...judge.seen]
          .filter((seen) => /^(?:DELETE|GET \/health)/.test(seen))
          .map((seen) => seen.slice(-3))
          .toSorted(),
        ['200', '200', '401', '401', '403', '403', '404'],
      );
      assert.ok(judge.operations.length >= 7, `${judge.operations}`);
      const other = await OpenApiJudge.of(api, ask);
      for (const operation of other.operations.filter((each) => each.startsWith('GET '))) await other.check(operation);
      await other.check('DELETE /expose/{id}', { id: 'nothing' });
      assert.ok(other.seen.has('DELETE /expose/{id} 404') && other.seen.has('GET /list 200'));
    }));

  it('says 503 while the program drains, and ends with it', () =>
    withAdmin(async (deployment, admin) => {
      const { port } = deployment;
      // What is open holds up the drain, and the API with it.
      await deployment.change(
        'server/domains/www.example.com.json5',
        deployment.serverDomain({ listen: '127.0.0.1:0' }),
      );
      const [listening] = deployment.events(deployment.server, 'listening').filter(({ purpose }) => purpose === 'tcp');
      const visitor = await connectPeer(Number(String(listening?.address).split(':').at(-1)));
      await visitor.send('GET /hang HTTP/1.1\r\nHost: a\r\n\r\n');
      await eventually(
        'the visitor has its stream',
        () => deployment.events(deployment.agent, 'tunnel-opened').length >= 2,
      );
      const streams = async () =>
        (await json<{ active: Record<string, number> }[]>(`${admin}/domains`))[0]?.active.tcp ?? 0;
      for (const end = Date.now() + 60_000; (await streams()) !== 1; ) assert.ok(Date.now() < end, 'no stream is open');
      deployment.server.child.kill('SIGTERM');
      await deployment.server.see(/draining/);
      const response = await ask(`${admin}/health`);
      assert.deepEqual([response.status, await response.text()], [503, 'draining']);
      await assert.rejects(fetch(`https://127.0.0.1:${port}/`), 'the front door is closed');
      // Who takes over may start meanwhile: its own API waits for this one's end.
      const next = startCli(['server', '-c', join(deployment.folder, 'server/server.json5')]);
      try {
        await next.see(/"event":"api-waits"/);
        next.child.kill('SIGHUP');
        const [, looked] = await next.see(/"event":"config-(unchanged|failed)"/);
        assert.equal(looked, 'unchanged', 'a reload meanwhile leaves that to it');
        visitor.reset();
        const { code } = await deployment.server.end();
        assert.equal(code, 0);
        await next.see(/"purpose":"api"/);
        assert.equal((await ask(`${admin}/health`)).status, 200);
      } finally {
        await next.end('SIGKILL');
      }
    }));

  it('that cannot listen ends the start with exit code 3, and a reload with an error in the log', () =>
    withAdmin(async (deployment, admin) => {
      const taken = new URL(admin).host;
      deployment.write('second/agent.json5', { api: { listen: taken } });
      deployment.write('second/domains/www.example.com.json5', deployment.agentDomain());
      const second = startCli(['agent', '-c', join(deployment.folder, 'second/agent.json5')]);
      const { code, stderr } = await second.end();
      assert.equal(code, 3);
      assert.match(stderr, new RegExp(`cannot listen: ${taken}: another process listens there`));
      await deployment.change('agent/agent.json5', { log: { level: 'debug' }, api: { listen: taken } });
      await deployment.agent.see(/"event":"config-failed","code":"listen-failed"/);
    }));
});
