import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:https';
import { test } from 'node:test';
import { DEFAULT_INTERNALS } from '../../src/agent/internals.ts';
import { PortClaimer } from '../../src/agent/port-claimer.ts';
import { resolveAgentOptions } from '../../src/agent/resolve-options.ts';
import { testCertificate } from '../support/certificates.ts';
import { listenOn } from '../support/listen-on.ts';
import { testDomain } from '../support/with-agent.ts';

test('a port that was claimed for two tunnels at once, and refused, is not claimed again once it is given up', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = new EventEmitter();
  const asked: string[] = [];
  const { cert, key } = testCertificate();
  const server = createServer({ cert, key }, ({ method, url = '' }, response) => {
    const port = url.slice(-4);
    asked.push(`${method} ${port}`);
    seen.emit(`asked for ${port}`);
    response.writeHead(409).end('taken\n');
  });
  const port = await listenOn(server);
  const [domain] = resolveAgentOptions({ domains: [testDomain({ remote: [`localhost:${port}`] })] }).domains;
  assert.ok(domain?.remotes[0]);
  const claimer = new PortClaimer({
    domain: () => domain,
    timeoutMs: 60_000,
    backoff: DEFAULT_INTERNALS.claimBackoff,
    observer: (event) => void (event.type === 'port-refused' && seen.emit(`${event.port} refused`)),
    claimOnAnswer: () => {},
  });
  t.after(() => {
    claimer.stop();
    server.close();
  });
  const route = { remote: domain.remotes[0], address: '127.0.0.1', proxy: null };
  claimer.want(1111);
  claimer.routeOnLive(route);
  claimer.routeOnLive(route);
  // All goes over one connection, in turn: what is asked for behind them is answered last.
  claimer.want(2222);
  await once(seen, '2222 refused');
  await claimer.unwant(1111);
  assert.deepEqual(asked, ['PUT 1111', 'PUT 1111', 'PUT 2222', 'DELETE 1111']);
  t.mock.timers.tick(1_000);
  await once(seen, 'asked for 2222');
  assert.deepEqual(asked.slice(4), ['PUT 2222']);
});
