import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, it } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type AgentHandler, createAgent, Secret } from '../../src/index.ts';
import { testAuthority } from '../support/certificates.ts';
import { EventLog } from '../support/event-log.ts';
import { openTunnel, type Tunnel } from '../support/with-tunnel.ts';
import { eventually, within } from '../support/within.ts';

const DOMAIN = 'www.example.com';

interface Handled {
  readonly tunnel: Tunnel;
  readonly events: EventLog;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  readonly pool: http.Agent;
}

/** A server, and an agent whose handler is reached as `h.www.example.com`, an instance beside the one of the tunnel. */
async function withHandler(handler: AgentHandler, body: (handled: Handled) => Promise<void>): Promise<void> {
  const tunnel = await openTunnel({ target: 1 });
  const events = new EventLog();
  const secret = new Secret('a secret of the tests, made for nothing else');
  const remote = [`127.0.0.1:${tunnel.frontDoor}`];
  const agent = createAgent({
    domains: [{ name: DOMAIN, secret, remote, ca: testAuthority().cert, instance: 'h', connections: 1 }],
    handler,
    observer: events.observer,
  });
  const dispatcher = tunnel.server.dispatcher();
  const pool = tunnel.server.httpAgent();
  try {
    agent.start();
    await within('a tunnel', agent.ready);
    await body({
      tunnel,
      events,
      fetch: (path, init) => fetch(`http://h.${DOMAIN}${path}`, { ...init, dispatcher }),
      pool,
    });
  } finally {
    pool.destroy();
    await dispatcher.destroy();
    await agent.close({ drainMs: 0 });
    await tunnel.close();
  }
}

const SHAPES: Record<string, AgentHandler> = {
  'a server of node:http that does not listen': http.createServer((request, response) => {
    request.pipe(response.setHeader('x-method', request.method ?? ''));
  }),
  'a function of request and response': (request: http.IncomingMessage, response: http.ServerResponse) => {
    request.pipe(response.setHeader('x-method', request.method ?? ''));
  },
  'a function of the Fetch standard': ({ body, method }: Request) =>
    new Response(body, { headers: { 'x-method': method } }),
  'an object with such a function': {
    fetch: async ({ body, method }: Request) => new Response(body, { headers: { 'x-method': method } }),
  },
};

function wrongLength(url: string | undefined): { headers: Record<string, string>; body: string } {
  const { searchParams } = new URL(url ?? '', 'http://h');
  const body = 'x'.repeat(Number(searchParams.get('given')));
  return { headers: { 'content-length': searchParams.get('length') ?? '' }, body };
}

function answerWrongly({ url }: http.IncomingMessage, response: http.ServerResponse): void {
  const { headers, body } = wrongLength(url);
  setImmediate(() => response.writeHead(200, headers).end(body));
}

const WRONG_LENGTHS: Record<string, AgentHandler> = {
  'a Response': ({ url, method }: Request) => {
    const { headers, body } = wrongLength(url);
    return new Response(method === 'HEAD' ? null : body, { headers });
  },
  'node:http, after the handler returned': answerWrongly,
  'a server of node:http': http.createServer(answerWrongly),
};

describe('a handler of an agent', () => {
  for (const [shape, handler] of Object.entries(SHAPES)) {
    it(`may be ${shape}: bodies of any size stream through both ways`, async () => {
      await withHandler(handler, async (handled) => {
        const body = Buffer.alloc(3_000_000, 'backdial ');
        const answer = await handled.fetch('/', { method: 'POST', body });
        assert.equal(answer.headers.get('x-method'), 'POST');
        assert.ok(Buffer.from(await answer.arrayBuffer()).equals(body));
        // Chunk by chunk: the first is back before the second is sent.
        const request = http.request({ host: `h.${DOMAIN}`, method: 'PUT', agent: handled.pool });
        const answered = once(request, 'response');
        request.write('one');
        const [response] = (await within('the head', answered)) as [http.IncomingMessage];
        const ended = once(response, 'end');
        assert.equal(String((await within('a chunk', once(response, 'data')))[0]), 'one');
        request.end('two');
        assert.equal(String((await within('a chunk', once(response, 'data')))[0]), 'two');
        await within('the end', ended);
      });
    });
  }

  it('is visited over HTTPS like any target, head, HEAD and cookies included', async () => {
    const handler = ({ url, headers, method }: Request) => {
      const seen = `${method} ${url} ${headers.get('host')}`;
      return new Response(seen, {
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['x-seen', seen],
        ],
      });
    };
    await withHandler(handler, async ({ tunnel }) => {
      for (const method of ['GET', 'HEAD']) {
        const options = { port: tunnel.frontDoor, servername: DOMAIN, ca: testAuthority().cert, agent: false } as const;
        const { request } = await import('node:https');
        // Round-robin: the other instance has no target.
        let response: http.IncomingMessage;
        do {
          const asked = request({ ...options, method, path: '/a//b?c', headers: { host: DOMAIN } }).end();
          [response] = (await once(asked, 'response')) as [http.IncomingMessage];
          if (response.statusCode !== 200) response.resume();
        } while (response.statusCode !== 200);
        assert.equal(response.headers['x-seen'], `${method} https://${DOMAIN}/a//b?c ${DOMAIN}`);
        assert.deepEqual(response.headers['set-cookie'], ['a=1', 'b=2']);
        const text = (await response.toArray()).join('');
        assert.equal(text, method === 'HEAD' ? '' : response.headers['x-seen']);
      }
    });
  });

  it('upgrades: WebSocket on a server of node:http', async () => {
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)));
    await withHandler(server, async ({ pool }) => {
      const socket = new WebSocket(`ws://h.${DOMAIN}/chat`, { agent: pool });
      await within('the handshake', once(socket, 'open'));
      socket.send('hello');
      const [data] = await within('an answer', once(socket, 'message'));
      assert.equal(String(data), 'echo hello');
      socket.close();
      await within('its end', once(socket, 'close'));
    });
    sockets.close();
  });

  it('that throws, or rejects, costs its own request: 500, told to the observer', async () => {
    const handlers: AgentHandler[] = [
      (_request: http.IncomingMessage, _response: http.ServerResponse) => {
        throw new Error('boom');
      },
      async (_request: http.IncomingMessage, _response: http.ServerResponse) => {
        throw new Error('boom');
      },
      () => {
        throw new Error('boom');
      },
      () => Promise.reject(new Error('boom')),
      (() => 'boom') as unknown as AgentHandler,
      () => Response.error(),
    ];
    for (const handler of handlers) {
      await withHandler(handler, async ({ fetch: ask, events }) => {
        for (let time = 0; time < 2; time += 1) {
          const answer = await ask('/');
          assert.equal(answer.status, 500);
          assert.match(answer.headers.get('proxy-status') ?? '', /details="handler-failed"/);
          assert.doesNotMatch(await answer.text(), /boom/);
        }
        const told = events.of('warning').filter(({ code }) => code === 'handler-failed');
        assert.equal(told.length, 2);
        assert.match(told[0]?.message ?? '', /^www\.example\.com: .*(?:boom|no Response)/);
      });
    }
  });

  it('that fails in the middle of a body is a cut, never an end', async () => {
    const handlers: AgentHandler[] = [
      (_request: http.IncomingMessage, response: http.ServerResponse) => {
        response.write('begun');
        setImmediate(() => response.destroy());
      },
      async (_request: http.IncomingMessage, response: http.ServerResponse) => {
        response.write('begun');
        throw new Error('boom');
      },
      () =>
        new Response(
          new ReadableStream<Uint8Array<ArrayBuffer>>({
            start: (controller) => controller.enqueue(new TextEncoder().encode('begun')),
            pull: (controller) => void setTimeout(() => controller.error(new Error('boom')), 5),
          }),
        ),
    ];
    for (const handler of handlers) {
      await withHandler(handler, async ({ fetch: ask }) => {
        await assert.rejects(within('the cut', (async () => (await ask('/')).text())()), TypeError);
      });
    }
  });

  for (const expectation of ['100-continue', 'more']) {
    it(`cuts an answer that is too short also where its server looks at Expect itself: ${expectation}`, async () => {
      const event = expectation === 'more' ? 'checkExpectation' : 'checkContinue';
      const server = http.createServer(answerWrongly).on(event, answerWrongly);
      await withHandler(server, async ({ pool, events }) => {
        const options = { host: `h.${DOMAIN}`, agent: pool, path: '/?length=10&given=5' };
        const ask = async (): Promise<string> => {
          const asked = http.request({ ...options, headers: { expect: expectation } }).end();
          const [response] = (await once(asked, 'response')) as [http.IncomingMessage];
          return (await response.toArray()).join('');
        };
        await assert.rejects(within('the cut', ask()));
        await events.wait('warning', ({ code }) => code === 'handler-failed');
        // Listened to later, and no more: node:http answers as ever.
        server.removeAllListeners(event);
        const answer = ask();
        if (expectation === 'more') assert.equal(await within('417', answer), '');
        else await assert.rejects(within('the cut', answer));
        server.on(event, answerWrongly);
        await assert.rejects(within('the cut', ask()));
        assert.equal(events.of('warning').length, expectation === 'more' ? 2 : 3);
      });
    });
  }

  for (const [style, answer] of Object.entries(WRONG_LENGTHS)) {
    it(`whose answer is not as long as its Content-Length says is a cut, told to the observer: ${style}`, async () => {
      await withHandler(answer, async (handled) => {
        for (const [length, given] of [
          [10, 5],
          [5, 10],
        ]) {
          const fetched = within('an answer', handled.fetch(`/?length=${length}&given=${given}`));
          const { body } = await fetched.catch(() => ({ body: null }));
          if (body !== null) await assert.rejects(within('the cut', new Response(body).arrayBuffer()));
          const told = new RegExp(`content-length of ${given} .* content-length of ${length} `);
          const warning = await handled.events.wait('warning', ({ message }) => told.test(message));
          assert.equal(warning.code, 'handler-failed');
        }
        const head = await within('HEAD', handled.fetch('/?length=10&given=0', { method: 'HEAD' }));
        assert.equal(head.headers.get('content-length'), '10');
        assert.equal(await (await handled.fetch('/?length=7&given=7')).text(), 'x'.repeat(7));
      });
    });
  }

  it('that gives a Response whose body was read, or is being read, is answered 500, not by what is left of it', async () => {
    const read = new Response('read');
    await read.text();
    const part = new Response('part');
    const reader = part.body?.getReader();
    await reader?.read();
    reader?.releaseLock();
    const held = new Response('held');
    held.body?.getReader();
    const answers: Record<string, Response> = { '/read': read, '/part': part, '/held': held };
    const handler = ({ url }: Request) => answers[new URL(url).pathname] as Response;
    await withHandler(handler, async (handled) => {
      for (const path of Object.keys(answers)) assert.equal((await handled.fetch(path)).status, 500, path);
    });
  });

  it('may give the answer of another server: what belongs to the connection there is left out', async () => {
    const headers = {
      'transfer-encoding': 'gzip',
      connection: 'close',
      upgrade: 'x',
      'keep-alive': 'timeout=1',
      a: 'b',
    };
    await withHandler(
      () => new Response('whole', { headers }),
      async (handled) => {
        const answer = await within('an answer', handled.fetch('/'));
        assert.equal(await within('a body', answer.text()), 'whole');
        assert.equal(answer.headers.get('a'), 'b');
        assert.equal(answer.headers.get('upgrade'), null);
      },
    );
  });

  it('learns that its visitor went away', async () => {
    const seen: string[] = [];
    const handler = async ({ signal }: Request) => {
      signal.addEventListener('abort', () => seen.push(signal.reason.code));
      return new Response(new ReadableStream({ cancel: () => void seen.push('cancelled') }));
    };
    await withHandler(handler, async ({ fetch: ask, events }) => {
      const abort = new AbortController();
      await ask('/', { signal: abort.signal });
      abort.abort();
      await eventually('the handler to know', () => seen.length === 2);
      assert.deepEqual(seen.toSorted(), ['cancelled', 'visitor-reset']);
      assert.deepEqual(events.of('warning'), []);
      const { record } = await events.wait('access');
      assert.equal(record.reason, 'visitor-reset');
    });
  });

  it('must be one, and in the place of targets', () => {
    const secret = new Secret('a secret of enough bytes');
    const domain = { name: 'www.test', secret };
    const make = (options: object) => () => createAgent({ domains: [{ ...domain, ...options }] });
    assert.throws(make({ handler: {} }), {
      code: 'config-invalid',
      message: /`handler` must be a server of node:http/,
    });
    const target = { kind: 'tcp', host: '127.0.0.1', port: 1 };
    assert.throws(make({ handler: () => {}, target }), { message: /both `handler` and targets are given/ });
    assert.throws(make({}), { message: /no target is given/ });
    // A domain with a target of its own does not want the agent's handler.
    createAgent({
      domains: [{ ...domain, target: { kind: 'tcp', host: '127.0.0.1', port: 1 } }],
      handler: () => new Response(),
    });
  });
});
