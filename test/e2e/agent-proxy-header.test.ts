import assert from 'node:assert/strict';
import * as https from 'node:https';
import * as net from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { V1ProxyProtocol, V2ProxyProtocol } from 'proxy-protocol-js';
import { testAuthority } from '../support/certificates.ts';
import { withRouted } from '../support/routed.ts';
import { startToldTarget, type Told, type ToldTarget } from '../support/told-target.ts';
import { within } from '../support/within.ts';

/** Reads the header with another implementation than ours: the address of the source, and the length of the header. */
const READERS = {
  1(bytes: Buffer) {
    const length = bytes.indexOf('\r\n') + 2;
    const parsed = V1ProxyProtocol.parse(bytes.toString('latin1', 0, length));
    assert.ok(parsed !== null, bytes.toString('latin1'));
    return { address: parsed.source.ipAddress, length };
  },
  2(bytes: Buffer) {
    const length = 16 + bytes.readUInt16BE(14);
    const parsed = V2ProxyProtocol.parse(new Uint8Array(bytes.subarray(0, length)));
    assert.ok(parsed !== null);
    return { address: Array.from(bytes.subarray(16, 20)).join('.'), length };
  },
};

async function withProxied(version: 1 | 2, body: (target: ToldTarget, keys: string) => Promise<void>): Promise<void> {
  const target = await startToldTarget('app', { readProxy: READERS[version] });
  try {
    await body(target, `target: "http://127.0.0.1:${target.port}", proxyProtocol: ${version}`);
  } finally {
    await target.close();
  }
}

/** A visitor with a connection of its own from one address of this machine. */
class Visitor {
  readonly #agent: https.Agent;
  readonly #port: number;

  constructor(port: number, localAddress: string) {
    this.#port = port;
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 1, localAddress });
  }

  get(headers: Record<string, string> = {}): Promise<Told> {
    const { promise, resolve, reject } = Promise.withResolvers<Told>();
    const tls = { host: '127.0.0.1', port: this.#port, servername: 'www.example.com', ca: testAuthority().cert };
    const all = { host: 'www.example.com', ...headers };
    const request = https.get({ ...tls, headers: all, agent: this.#agent }, async (response) =>
      resolve(JSON.parse(await text(response)) as Told),
    );
    request.on('error', reject);
    return within('an answer', promise);
  }

  close(): void {
    this.#agent.destroy();
  }
}

describe('a target that is told who visits', () => {
  for (const version of [1, 2] as const) {
    for (const more of ['', ', path: "^/"']) {
      test(`by the PROXY protocol ${version}${more === '' ? '' : ', routed'}: two visitors never share a connection`, () =>
        withProxied(version, (target, keys) =>
          withRouted({ keys: `targets: { ${keys}${more} }` }, async ({ port }) => {
            const addresses = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
            const visitors = addresses.map((address) => new Visitor(port, address));
            for (let round = 0; round < 5; round += 1) {
              const told = await Promise.all(visitors.map((visitor) => visitor.get()));
              assert.deepEqual(
                told.map(({ proxied }) => proxied),
                addresses,
              );
              assert.deepEqual(
                told.map(({ forwardedFor }) => forwardedFor.join()),
                addresses,
              );
            }
            assert.equal(target.connections, 3, 'and keep theirs');
            for (const visitor of visitors) visitor.close();
          }),
        ));
    }
  }

  test('is told of each visitor behind a believed proxy, whose connection they share', () =>
    withProxied(2, (_target, keys) =>
      withRouted(
        {
          keys: `targets: { ${keys} }`,
          serverDomain: { forward: [{ address: '127.0.0.1', prefix: 32 }] },
        },
        async ({ port }) => {
          const proxy = new Visitor(port, '127.0.0.1');
          for (let i = 0; i < 12; i += 1) {
            const visitor = `192.0.2.${i % 3}`;
            assert.equal((await proxy.get({ 'x-forwarded-for': visitor })).proxied, visitor);
          }
          proxy.close();
        },
      ),
    ));

  test('is told of TCP visitors, too', () =>
    withProxied(1, (_target, keys) =>
      withRouted({ keys: `targets: { ${keys} }` }, async ({ tcp }) => {
        const socket = net.connect({ port: tcp, host: '127.0.0.1', localAddress: '127.0.0.9' });
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        const answer = await within('an answer', text(socket));
        assert.match(answer, /"proxied":"127\.0\.0\.9"/);
      }),
    ));
});
