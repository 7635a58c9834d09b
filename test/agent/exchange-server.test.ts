import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { FakeServer } from '../support/fake-server.ts';
import { Inbox } from '../support/inbox.ts';
import { closerOf, listenOn } from '../support/listen-on.ts';
import { testDomain, withAgent } from '../support/with-agent.ts';
import { eventually } from '../support/within.ts';

const REQUEST = 'GET / HTTP/1.1\r\nHost: www.test\r\n\r\n';
const NO_REQUEST = 'GET / HTTP/1.1\r\n\r\n';
const UPGRADE = 'GET / HTTP/1.1\r\nHost: www.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n';

test('an upgrade that a server sends before the answer cuts its stream, and no other', async () => {
  const web = createServer((request, response) => {
    if (request.url === '/good') response.end('good');
  });
  const closeWeb = closerOf(web);
  const port = await listenOn(web);
  const server = new FakeServer();
  await server.listen();
  const domain = testDomain({
    remote: [`127.0.0.1:${server.port}`],
    target: { kind: 'tcp', host: '127.0.0.1', port },
  });
  try {
    await withAgent({ exchanges: true, domains: [domain] }, {}, async () => {
      await server.untilLive(1);
      const open = () => server.live[0]?.open('www.test', { way: 'https', transaction: 'x' });
      for (const [first, answer] of [
        [REQUEST, null],
        [NO_REQUEST, 'HTTP/1.1 400 '],
      ] as const) {
        const stream = await open();
        assert.ok(stream !== undefined);
        stream.on('error', () => {});
        const inbox = new Inbox(stream);
        stream.write(first);
        if (answer !== null) await inbox.receivedText(answer);
        stream.write(UPGRADE);
        await eventually('the stream is cut', () => stream.destroyed);
      }
      const good = await open();
      assert.ok(good !== undefined);
      const inbox = new Inbox(good);
      good.write('GET /good HTTP/1.1\r\nHost: www.test\r\n\r\n');
      await inbox.receivedText('good');
      good.destroy();
    });
  } finally {
    server.close();
    await closeWeb();
  }
});
