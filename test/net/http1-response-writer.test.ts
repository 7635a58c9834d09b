import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { BackdialError } from '../../src/core/errors.ts';
import type { ExchangeHandler } from '../../src/net/exchange.ts';
import type { Framing } from '../../src/net/head-check.ts';
import {
  type Http1ResponseOptions,
  Http1ResponseWriter,
  type ResponseOwner,
} from '../../src/net/http1-response-writer.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { connectPeer, type Peer } from '../support/raw-target.ts';
import { eventually } from '../support/within.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OPTIONS: Http1ResponseOptions = { writeMs: 0, closing: () => false, keepAliveMs: () => 65_900 };

interface Served {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly writer: Http1ResponseWriter;
  /** As the exchange that the writer is of says them. */
  readonly state: ResponseOwner & { gone: BackdialError | null; handler: ExchangeHandler | null };
}

/** Runs `action` with a visitor of a server whose requests come to `serve`. */
async function withServer(
  { keepAliveMs = 65_900, ...options }: Partial<Omit<Http1ResponseOptions, 'keepAliveMs'>> & { keepAliveMs?: number },
  serve: (served: Served) => void,
  action: (visitor: Peer) => Promise<void>,
): Promise<void> {
  const server: Server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) => {
    response.sendDate = false;
    response.on('error', () => {});
    const version = request.httpVersionMinor === 0 ? '1.0' : '1.1';
    const state: Served['state'] = { gone: null, version, handler: null, watchResponse() {}, responseOnFinish() {} };
    const given = { ...OPTIONS, ...options, keepAliveMs: () => keepAliveMs };
    serve({ request, response, state, writer: new Http1ResponseWriter(state, request, response, given) });
  });
  const close = closerOf(server);
  const visitor = await connectPeer(await listenOn(server));
  try {
    await action(visitor);
  } finally {
    visitor.close();
    await close();
  }
}

/** What a visitor gets for a request and one more, whose answer ends the connection. */
async function told(keepAliveMs: number, request: string, serve: (served: Served) => void): Promise<string> {
  let text = '';
  await withServer(
    { keepAliveMs },
    (served) => {
      if (served.request.url === '/last') served.response.writeHead(204, ['Connection', 'close']).end();
      else serve(served);
    },
    async (visitor) => {
      await visitor.send(request);
      await visitor.receivedText('\r\n\r\n');
      await visitor.send('GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      await visitor.ending;
      text = visitor.text;
    },
  );
  return text;
}

const BODY = Buffer.from('hello');
const LENGTH = ['Content-Type', 'text/plain', 'Content-Length', '5'];
const FORMS: [what: string, request: string, headers: string[], framing: Framing | 'close', body: Buffer | null][] = [
  ['an answer of known length', GET, LENGTH, 5, BODY],
  ['an answer to HEAD', GET.replace('GET', 'HEAD'), LENGTH, 'none', null],
  ['an answer that the end of the connection delimits at the target', GET, [], 'close', BODY],
  ['an answer in chunks', GET, ['Transfer-Encoding', 'chunked'], 'chunked', BODY],
  ['an answer to HTTP/1.0 that asks to be kept', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', LENGTH, 5, BODY],
  ['an answer to HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', LENGTH, 5, BODY],
];
for (const [what, request, headers, framing, body] of FORMS) {
  test(`${what} has the bytes that node:http would send`, async () => {
    for (const keepAliveMs of [0, 1_999, 65_000]) {
      const expected = await told(keepAliveMs, request, ({ response }) => {
        response.writeHead(200, 'Fine', headers).end(body ?? undefined);
      });
      const got = await told(keepAliveMs, request, ({ writer }) => {
        writer.respond(200, 'Fine', [...headers], framing);
        writer.end([], body);
      });
      assert.equal(got, expected);
    }
  });
}

test('a small answer whose parts come in one turn has these bytes, too, and goes past node:http', async () => {
  const expected = await told(65_000, GET, ({ response }) => response.writeHead(200, 'Fine', LENGTH).end(BODY));
  for (const [parts, last] of [
    [['h', 'el'], 'lo'],
    [['hell', 'o'], null],
  ] as const) {
    const got = await told(65_000, GET, ({ writer, state }) => {
      state.watchResponse = () => assert.fail('node:http was given some of it');
      writer.respond(200, 'Fine', [...LENGTH], 5);
      for (const part of parts) assert.equal(writer.write(Buffer.from(part)), true);
      writer.end([], last === null ? null : Buffer.from(last));
    });
    assert.equal(got, expected);
  }
});

test('what has come of a small answer is not kept back for longer than its turn, nor what is too much for one', async () => {
  for (const first of ['hel', 'x'.repeat(9_000)]) {
    const size = first.length + 2;
    let end = (): void => {};
    const serve = ({ writer }: Served): void => {
      writer.respond(200, 'OK', ['Content-Length', String(size)], size);
      for (let at = 0; at < first.length; at += 3_000) writer.write(Buffer.from(first.slice(at, at + 3_000)));
      end = () => writer.end([], Buffer.from('lo'));
    };
    await withServer({}, serve, async (visitor) => {
      await visitor.send(GET);
      await visitor.receivedText(`\r\n\r\n${first}`);
      end();
      const text = await visitor.receivedText(`${first}lo`);
      assert.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Length: \d+\r\n/);
    });
  }
});

test('what is answered before an earlier request comes behind the answer of that one', async () => {
  const waiting: Served[] = [];
  const answer = ({ writer, request }: Served): void => {
    writer.respond(200, 'OK', ['Content-Length', '2'], 2);
    writer.end([], Buffer.from(request.url ?? ''));
  };
  await withServer(
    {},
    (served) => waiting.push(served),
    async (visitor) => {
      await visitor.send(GET.replace('/', '/1') + GET.replace('/', '/2'));
      await eventually('both came', () => waiting.length === 2);
      const [first, second] = waiting as [Served, Served];
      answer(second);
      await new Promise(setImmediate);
      answer(first);
      await visitor.receivedText('/2');
      assert.match(visitor.text, /\/1HTTP\/1\.1 200 /);
    },
  );
});

// Of a connection that is kept for ever node:http touches no time-out.
const WATCHING = { keepAliveMs: 0, writeMs: 60_000 };
const LOOK_MS = 30_000;

test('a small answer is told of, and the socket watches who takes a larger one', async () => {
  for (const [bytes, expected] of [
    [8_192, [1, 0]],
    [8_193, [0, LOOK_MS]],
  ] as const) {
    const body = Buffer.alloc(bytes, 'x');
    let small = 0;
    const onSmallAnswer = (): void => {
      small += 1;
    };
    let socket: Socket | undefined;
    const serve = ({ request, writer }: Served): void => {
      socket = request.socket;
      writer.respond(200, 'OK', ['Content-Length', String(bytes)], bytes);
      writer.end([], body);
    };
    await withServer({ ...WATCHING, onSmallAnswer }, serve, async (visitor) => {
      await visitor.send(GET);
      await visitor.receivedText('xx');
      assert.deepEqual([small, socket?.timeout ?? 0], expected);
    });
  }
});

test('the socket watches who has to take more before more is written, and not while nothing waits', async () => {
  const body = Buffer.alloc(30_000_000, 'x');
  const seen: (number | undefined)[] = [];
  const onSmallAnswer = (): void => assert.fail('it is none');
  const serve = ({ request, writer, state }: Served): void => {
    const { socket } = request;
    const exchangeDrain = (): void => {
      seen.push(socket.timeout);
      writer.end([], null);
      setImmediate(() => setImmediate(() => seen.push(socket.timeout)));
    };
    state.handler = { exchangeDrain } as ExchangeHandler;
    writer.respond(200, 'OK', ['Content-Length', String(body.length)], body.length);
    assert.equal(writer.write(body), false);
    seen.push(socket.timeout);
  };
  await withServer({ ...WATCHING, onSmallAnswer }, serve, async (visitor) => {
    await visitor.send(GET);
    await eventually('it was ended', () => seen.length === 3);
    assert.deepEqual(seen, [LOOK_MS, 0, LOOK_MS]);
  });
});

test('an answer that was not handed over is not told as finished', async () => {
  for (const end of ['the socket is gone', 'the exchange is gone'] as const) {
    const finished: string[] = [];
    await withServer(
      {},
      ({ request, response, writer, state }) => {
        response.on('finish', () => finished.push(end));
        // So that it is not written before it is lost.
        request.socket.cork();
        writer.respond(200, 'OK', ['Content-Length', '5'], 5);
        writer.end([], BODY);
        setImmediate(() => {
          if (end === 'the socket is gone') request.socket.destroy();
          else {
            state.gone = new Error('gone') as BackdialError;
            request.socket.uncork();
            request.socket.write('', () => request.socket.destroy());
          }
        });
      },
      async (visitor) => {
        await visitor.send(GET);
        await visitor.ending;
      },
    );
    assert.deepEqual(finished, []);
  }
});
