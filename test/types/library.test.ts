import http from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { Dispatcher } from 'undici';
import {
  type AgentHandler,
  type AgentOptions,
  BackdialError,
  createAgent,
  type ErrorCode,
  Secret,
  type Server,
  type ServerOptions,
} from '../../src/index.ts';

/** Never run: what the compiler says of it is the test (`npm run check`). */
export async function typesOfTheLibrary(server: Server): Promise<void> {
  const stream: Duplex = await server.dial('www.example.com:5432', { waitMs: 1, signal: AbortSignal.timeout(1) });
  stream.end();
  const dispatcher = server.dispatcher({ waitMs: 1, connections: 2, idleTimeoutMs: 3 });
  const ofUndici: Dispatcher = dispatcher;
  await ofUndici.close();
  await fetch('http://www.example.com/', { dispatcher });
  http.get({ host: 'www.example.com', agent: server.httpAgent() });
  // @ts-expect-error a name is needed
  await server.dial();
  // @ts-expect-error milliseconds are a number
  await server.dial('www.example.com', { waitMs: '1s' });
  // @ts-expect-error there is no such option
  server.dispatcher({ timeout: 1 });

  const secret = new Secret('a secret of enough bytes');
  const handlers: AgentHandler[] = [
    http.createServer(),
    (_request: http.IncomingMessage, response: http.ServerResponse) => response.end(),
    (request: Request) => new Response(request.body),
    async () => new Response('ok'),
    { fetch: () => new Response('ok') },
  ];
  for (const handler of handlers) createAgent({ domains: [{ name: 'www.example.com', secret, handler }], handler });
  createAgent({ domains: [{ name: 'www.example.com', certificate: 'PEM', key: secret, remote: ['vps.example.com'] }] });
  // @ts-expect-error a number serves nothing
  createAgent({ domains: [], handler: 3000 });
  // @ts-expect-error a secret is a Secret, so that no log shows it
  createAgent({ domains: [{ name: 'www.example.com', secret: 'in the clear' }] });
  // @ts-expect-error nothing is served without domains
  const agent: AgentOptions = {};
  // @ts-expect-error a server without certificates cannot be
  const given: ServerOptions = { listen: [], domains: [] };
  await Promise.all([agent, given]);

  const error = new BackdialError('domain-unserved');
  const code: ErrorCode = error.code;
  // @ts-expect-error codes are those of the catalogue
  if (code === 'no-such-code') return;
  // @ts-expect-error what was resolved cannot be changed
  error.entry.status = 200;
}

test('the types of the library are checked by the compiler', () => {});
