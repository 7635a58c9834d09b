import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { getExtensionData, readTlsClientHello } from 'read-tls-client-hello';
import {
  ClientHelloReader,
  type HelloVerdict,
  MAX_HELLO_BYTES,
  MAX_HELLO_WIRE_BYTES,
} from '../../src/net/client-hello.ts';
import { extension, hello, helloMessage, records, serverNameData, vector } from '../support/client-hello.ts';
import { listenOn } from '../support/listen-on.ts';
import { findTool, missingTools } from '../support/tools.ts';
import { within } from '../support/within.ts';

function read(...chunks: readonly Buffer[]): HelloVerdict {
  const reader = new ClientHelloReader();
  let verdict: HelloVerdict = { kind: 'need-more' };
  for (const chunk of chunks) verdict = reader.push(chunk);
  return verdict;
}

function readName(bytes: Buffer): string | null {
  const verdict = read(bytes);
  assert.ok(verdict.kind === 'hello', JSON.stringify(verdict));
  return verdict.serverName;
}

function bytewise(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte));
}

function alertOf(bytes: Buffer): number {
  const verdict = read(bytes);
  assert.ok(verdict.kind === 'alert', JSON.stringify(verdict));
  return verdict.code;
}

/** The first bytes that a client sends. */
async function capture(start: (port: number) => { close(): void }): Promise<Buffer> {
  const server = net.createServer();
  const port = await listenOn(server);
  const client = start(port);
  try {
    const [socket] = (await within('a connection', once(server, 'connection'))) as [Socket];
    const [bytes] = (await within('a hello', once(socket, 'data'))) as [Buffer];
    socket.destroy();
    return bytes;
  } finally {
    client.close();
    server.close();
  }
}

describe('a ClientHello is read', () => {
  test("when it is Node's own", async () => {
    const bytes = await capture((port) => {
      const client = tls.connect({
        port,
        host: '127.0.0.1',
        servername: 'www.example.com',
        ALPNProtocols: ['h2', 'http/1.1'],
      });
      client.on('error', () => {});
      return { close: () => client.destroy() };
    });
    assert.ok(bytes.length > 1_200, `post-quantum key shares are expected, but it has ${bytes.length} bytes`);
    assert.deepEqual(read(bytes), { kind: 'hello', serverName: 'www.example.com', alpn: ['h2', 'http/1.1'] });
    assert.deepEqual(read(...bytewise(bytes)), read(bytes));
  });

  for (const version of ['-tls1_2', '-tls1_3']) {
    test(`when it is OpenSSL's (${version})`, { skip: missingTools('openssl') }, async () => {
      const bytes = await capture((port) => {
        const more = ['-servername', 'A.Example.com', '-alpn', 'http/1.1', version];
        const child = spawn(findTool('openssl'), ['s_client', '-connect', `127.0.0.1:${port}`, ...more], {
          stdio: 'ignore',
        });
        return { close: () => child.kill() };
      });
      assert.deepEqual(read(bytes), { kind: 'hello', serverName: 'A.Example.com', alpn: ['http/1.1'] });
    });
  }

  test('in segments of one byte and in records of one byte', () => {
    const message = helloMessage({ serverName: 'a.test', alpn: ['h2'] });
    const expected = { kind: 'hello', serverName: 'a.test', alpn: ['h2'] };
    assert.deepEqual(read(...bytewise(records(message))), expected);
    assert.deepEqual(read(records(message, 1)), expected);
    assert.deepEqual(read(...bytewise(records(message, 1))), expected);
  });

  test('when a record ends inside the name', () => {
    const message = helloMessage({ serverName: 'www.example.com' });
    const inside = message.indexOf('example') + 3;
    const bytes = Buffer.concat([records(message.subarray(0, inside)), records(message.subarray(inside))]);
    assert.equal(readName(bytes), 'www.example.com');
  });

  for (const bodyBytes of [5_000, 60_000, MAX_HELLO_BYTES]) {
    test(`when it has ${bodyBytes} bytes`, () => {
      assert.equal(readName(hello({ serverName: 'a.test', bodyBytes })), 'a.test');
      assert.equal(readName(records(helloMessage({ serverName: 'a.test', bodyBytes }), 1)), 'a.test');
    });
  }

  test('with its name as sent: case, trailing dot, empty labels and IPv4 literals are for others to judge', () => {
    for (const name of ['A.TEST', 'a.test.', 'a..test', '127.0.0.1', 'a_b', 'ä', '\0', ''])
      assert.equal(readName(hello({ serverName: name })), name);
  });

  test('without SNI, and without any extension', () => {
    assert.equal(readName(hello()), null);
    const old = Buffer.concat([Buffer.of(3, 1), Buffer.alloc(32), Buffer.of(0, 0, 2, 0, 47, 1, 0)]);
    assert.deepEqual(read(records(Buffer.concat([Buffer.of(1), vector(3, old)]))), {
      kind: 'hello',
      serverName: null,
      alpn: [],
    });
  });

  test('with GREASE among its extensions and protocols', () => {
    const grease = { type: 0xfafa, data: Buffer.of(0) };
    const verdict = read(hello({ serverName: 'a.test', alpn: ['\x8a\x8a', 'h2'], extensions: [grease] }));
    assert.deepEqual(verdict, { kind: 'hello', serverName: 'a.test', alpn: ['\x8a\x8a', 'h2'] });
  });

  test('and nothing after it changes the verdict', () => {
    const bytes = hello({ serverName: 'a.test' });
    assert.equal(readName(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n')])), 'a.test');
    const reader = new ClientHelloReader();
    const first = reader.push(bytes);
    assert.equal(reader.push(Buffer.from('garbage')), first);
  });
});

describe('an alert is the verdict', () => {
  const message = helloMessage({ serverName: 'a.test' });

  test('10 for what is no handshake record and for what is no ClientHello', () => {
    assert.equal(alertOf(Buffer.from('GET / HTTP/1.1\r\n\r\n')), 10);
    assert.equal(alertOf(Buffer.from('P')), 10);
    assert.equal(alertOf(Buffer.of(0)), 10);
    assert.equal(alertOf(Buffer.of(21, 3, 3, 0, 2, 2, 40)), 10);
    assert.equal(alertOf(records(Buffer.concat([Buffer.of(2), message.subarray(1)]))), 10);
    assert.equal(alertOf(Buffer.concat([records(message.subarray(0, 9)), Buffer.of(23)])), 10);
  });

  test('22 for a record of more than 16,384 bytes', () => {
    assert.equal(alertOf(Buffer.of(22, 3, 1, 0x40, 0x01)), 22);
    assert.equal(read(Buffer.of(22, 3, 1, 0x40, 0x00)).kind, 'need-more');
  });

  test('50 for an empty record, another major version and a hello of more than 64 kB, as soon as that is known', () => {
    assert.equal(alertOf(Buffer.of(22, 3, 1, 0, 0)), 50);
    assert.equal(alertOf(Buffer.of(22, 2)), 50);
    assert.equal(alertOf(records(Buffer.of(1, 0x01, 0x00, 0x01))), 50);
    assert.equal(read(records(Buffer.of(1, 0x01, 0x00, 0x00))).kind, 'need-more');
    assert.equal(alertOf(hello({ bodyBytes: MAX_HELLO_BYTES + 1 })), 50);
  });

  test('50 wherever the body is cut short', () => {
    const body = message.subarray(4);
    for (let length = 0; length < body.length; length += 1) {
      const cut = Buffer.concat([Buffer.of(1), vector(3, body.subarray(0, length))]);
      // At this one place the extensions may be absent.
      if (length === 2 + 32 + 33 + 10 + 2) assert.equal(read(records(cut)).kind, 'hello');
      else assert.equal(alertOf(records(cut)), 50, `${length} bytes`);
    }
    assert.equal(alertOf(records(Buffer.concat([Buffer.of(1), vector(3, body, Buffer.of(0))]))), 50);
  });

  test('50 for names and protocols that two readers could take differently', () => {
    const name = serverNameData('a.test');
    const twoNames = vector(2, name.subarray(2), name.subarray(2));
    const bad = [
      { type: 0, data: twoNames },
      { type: 0, data: Buffer.alloc(0) },
      { type: 0, data: vector(2) },
      { type: 0, data: Buffer.concat([name, Buffer.of(0)]) },
      { type: 16, data: vector(2) },
      { type: 16, data: vector(2, Buffer.of(0)) },
      { type: 16, data: vector(2, Buffer.of(9, 104)) },
    ];
    for (const one of bad) assert.equal(alertOf(hello({ extensions: [one] })), 50, one.data.toString('hex'));
    const twice = { type: 0, data: name };
    assert.equal(alertOf(hello({ serverName: 'b.test', extensions: [twice] })), 50);
    assert.equal(alertOf(hello({ extensions: [twice, twice] })), 50);
    const alpn = { type: 16, data: vector(2, vector(1, Buffer.from('h2'))) };
    assert.equal(alertOf(hello({ extensions: [alpn, alpn] })), 50);
  });

  test('and an unknown type of name beside the host name is passed over', () => {
    const list = Buffer.concat([Buffer.of(7), vector(2, Buffer.from('x')), serverNameData('a.test').subarray(2)]);
    assert.equal(extension(0, vector(2, list)).length, 4 + 2 + list.length);
    assert.equal(readName(hello({ extensions: [{ type: 0, data: vector(2, list) }] })), 'a.test');
  });
});

describe('another reader agrees', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
  // Types that neither reader looks into.
  const extensions = fc.array(
    fc.record({ type: fc.integer({ min: 0x4000, max: 0x7fff }), data: fc.uint8Array({ maxLength: 200 }) }),
    { maxLength: 5 },
  );

  test('on the name and the protocols of every valid hello, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.option(name, { nil: undefined }),
        fc.array(fc.stringMatching(/^[a-z0-9./-]{1,20}$/), { maxLength: 4 }),
        extensions,
        fc.integer({ min: 1, max: 600 }),
        async (serverName, alpn, given, recordBytes) => {
          const message = helloMessage({
            ...(serverName === undefined ? {} : { serverName }),
            ...(alpn.length === 0 ? {} : { alpn }),
            extensions: given.map(({ type, data }) => ({ type, data: Buffer.from(data) })),
          });
          const verdict = read(records(message, recordBytes));
          // It reads hellos of one record only.
          const stream = new PassThrough();
          stream.end(records(message));
          const other = await readTlsClientHello(stream);
          const theirs = {
            kind: 'hello',
            serverName: getExtensionData(other, 'server_name')?.serverName ?? null,
            alpn: getExtensionData(other, 'application_layer_protocol_negotiation')?.protocols ?? [],
          };
          assert.deepEqual(verdict, theirs);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('on the hello of Node, as far as both read it', async () => {
    const bytes = await capture((port) => {
      const client = tls.connect({ port, host: '127.0.0.1', servername: 'a.test', ALPNProtocols: ['h2'] });
      client.on('error', () => {});
      return { close: () => client.destroy() };
    });
    const stream = new PassThrough();
    stream.end(bytes);
    assert.equal(getExtensionData(await readTlsClientHello(stream), 'server_name')?.serverName, readName(bytes));
  });
});

describe('for all inputs', () => {
  const message = helloMessage({ serverName: 'www.example.com', alpn: ['h2', 'http/1.1'] });

  test('the verdict does not depend on how the bytes come in', () => {
    const cuts = fc.array(fc.nat(), { maxLength: 20 });
    fc.assert(
      fc.property(cuts, fc.integer({ min: 1, max: 400 }), fc.nat(), fc.nat(255), (points, recordBytes, at, value) => {
        const bytes = records(message, recordBytes);
        bytes[at % bytes.length] = value;
        const sorted = points.map((point) => point % bytes.length).toSorted((a, b) => a - b);
        const chunks = [0, ...sorted].map((start, index) => bytes.subarray(start, sorted[index]));
        assert.deepEqual(read(...chunks), read(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('a mutated hello never throws', () => {
    const mutation = fc.record({ at: fc.nat(), value: fc.nat(255), kind: fc.constantFrom('set', 'drop', 'insert') });
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 8 }), (mutations) => {
        const bytes = [...records(message)];
        for (const { at, value, kind } of mutations) {
          const index = at % bytes.length;
          bytes.splice(index, kind === 'insert' ? 0 : 1, ...(kind === 'drop' ? [] : [value]));
        }
        assert.ok(['hello', 'alert', 'need-more'].includes(read(Buffer.from(bytes)).kind));
      }),
      { numRuns: 2_000 },
    );
  });

  test('bytes never stay undecided for longer than the largest hello is on the wire', () => {
    const endless = Buffer.concat([records(Buffer.of(1, 1, 0, 0), 1), records(Buffer.alloc(MAX_HELLO_BYTES), 1)]);
    assert.equal(endless.length, MAX_HELLO_WIRE_BYTES);
    assert.equal(read(endless.subarray(0, -1)).kind, 'need-more');
    assert.equal(read(endless).kind, 'alert');
  });
});
