import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as net from 'node:net';
import { describe, test } from 'node:test';
import * as tls from 'node:tls';
import { testAuthority } from '../support/certificates.ts';
import { withHttpsWay } from '../support/https-way.ts';
import { listenOn } from '../support/listen-on.ts';
import { undisturbed } from '../support/undisturbed.ts';

const WRITE_MS = 2_400;
/** What a slow visitor takes at a time, bytes, how often, ms, and for how long: half of what leaves the process in one step. */
const STEP_BYTES = 6_000;
const STEP_MS = 50;
const STEPS = 90;

/** A relay to a port: it passes all on until it is told to be slow, then so much at a time, and nothing once its steps are over. */
class SlowRelay implements AsyncDisposable {
  readonly #server: net.Server;
  readonly port: number;
  #isSlow = false;

  private constructor(server: net.Server, port: number, to: number) {
    this.#server = server;
    this.port = port;
    server.on('connection', (visitor: net.Socket) => this.#join(visitor, to));
  }

  static async to(port: number): Promise<SlowRelay> {
    const server = net.createServer();
    return new SlowRelay(server, await listenOn(server), port);
  }

  slowDown(): void {
    this.#isSlow = true;
  }

  #join(visitor: net.Socket, to: number): void {
    const server = net.connect({ port: to, host: '127.0.0.1', highWaterMark: 4_096 } as net.NetConnectOpts);
    visitor.pipe(server);
    const pass = (most: number): void => {
      for (let left = most; left > 0; ) {
        const chunk = server.read(Math.min(left, server.readableLength)) as Buffer | null;
        if (chunk === null) return;
        left -= chunk.length;
        visitor.write(chunk);
      }
    };
    server.on('readable', () => {
      if (!this.#isSlow) pass(Number.POSITIVE_INFINITY);
    });
    let [steps, slowAt] = [0, 0];
    const timer = setInterval(() => {
      if (!this.#isSlow) return;
      slowAt ||= performance.now();
      // By the clock: on a busy machine some steps are late.
      for (; steps < STEPS && slowAt + steps * STEP_MS <= performance.now(); steps += 1) pass(STEP_BYTES);
    }, STEP_MS);
    server.on('error', () => visitor.destroy());
    server.on('close', () => clearInterval(timer));
    visitor.on('error', () => server.destroy());
    visitor.on('close', () => server.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

describe('a slow visitor', { concurrency: true }, () => {
  for (const alpn of ['http/1.1', 'h2'] as const) {
    test(
      `over ${alpn} that takes some now and then is not cut, however long the kernel keeps that to itself; one that takes nothing is`,
      undisturbed(async () => {
        await withHttpsWay({ server: { writeTimeoutMs: WRITE_MS } }, async ({ port, target, record }) => {
          await using relay = await SlowRelay.to(port);
          await using socket = tls.connect({
            port: relay.port,
            ca: testAuthority().cert,
            servername: 'www.example.com',
            ALPNProtocols: [alpn],
          });
          socket.on('error', () => {});
          await once(socket, 'secureConnect');
          if (alpn === 'h2') {
            // What holds it up is to be TCP, not a window of HTTP/2.
            const settings = { initialWindowSize: 100_000_000 };
            const session = http2.connect('https://www.example.com', { createConnection: () => socket, settings });
            session.on('error', () => {});
            session.once('connect', () => session.setLocalWindowSize(100_000_000));
            session
              .request({ ':path': '/' })
              .on('error', () => {})
              .resume();
          } else {
            socket.write('GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n');
            socket.resume();
          }
          const to = await target.next();
          await to.receivedText('\r\n\r\n');
          relay.slowDown();
          await to.send('HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n');
          to.stream.write(Buffer.alloc(40_000_000, 'x'));
          const { reason, durationMs } = await record();
          assert.equal(reason, 'visitor-stalled');
          const slowMs = STEPS * STEP_MS;
          assert.ok(durationMs > slowMs && durationMs < slowMs + 10 * WRITE_MS, `${durationMs} ms`);
        });
      }),
    );
  }
});
