import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  Command,
  INETProtocol,
  IPv4Address,
  IPv4ProxyAddress,
  IPv6Address,
  IPv6ProxyAddress,
  Peer,
  TransportProtocol,
  V1ProxyProtocol,
  V2ProxyProtocol,
} from 'proxy-protocol-js';
import { ProxyHeaderReader, type ProxyHeaderVerdict } from '../../src/net/proxy-header.ts';
import { type ProxyVersion, proxyHeader } from '../../src/net/proxy-protocol.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const HELLO = Buffer.from('the first bytes of the visitor');

/** What becomes of a connection whose bytes come in these pieces: the verdict, and what was left for the next owner. */
function read(...pieces: readonly Buffer[]): { verdict: ProxyHeaderVerdict; rest: string } {
  const reader = new ProxyHeaderReader();
  for (const [index, piece] of pieces.entries()) {
    const verdict = reader.push(piece);
    if (verdict.kind === 'more') continue;
    const rest = verdict.kind === 'header' ? Buffer.concat([verdict.rest, ...pieces.slice(index + 1)]) : '';
    return { verdict, rest: String(rest) };
  }
  return { verdict: { kind: 'more' }, rest: '' };
}

const bytewise = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte));

function sourceOf(...pieces: readonly Buffer[]) {
  const { verdict, rest } = read(...pieces);
  assert.equal(verdict.kind, 'header', JSON.stringify(verdict));
  assert.equal(rest, String(HELLO));
  return verdict.kind === 'header' ? verdict.source : null;
}

function problemOf(bytes: Buffer | string): string {
  const { verdict } = read(Buffer.from(bytes as string, 'latin1'));
  assert.equal(verdict.kind, 'invalid', `${JSON.stringify(verdict)}: ${bytes}`);
  return verdict.kind === 'invalid' ? verdict.problem : '';
}

function binary({ command = 0x21, family = 0x11, body = Buffer.alloc(12) } = {}): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(command, family, body.length >> 8, body.length & 0xff), body]);
}

const V4 = { address: '203.0.113.7', port: 51_442 };
const V6 = { address: '2001:db8::7', port: 1 };

describe('a PROXY header that is read', () => {
  for (const version of [1, 2] as const satisfies readonly ProxyVersion[]) {
    test(`names the visitor, in version ${version}, and nothing behind it is consumed`, () => {
      for (const [source, here] of [
        [V4, { address: '10.0.0.1', port: 443 }],
        [V6, { address: '::1', port: 443 }],
      ] as const) {
        const bytes = Buffer.concat([proxyHeader(version, source, here), HELLO]);
        assert.deepEqual(sourceOf(bytes), source);
        assert.deepEqual(sourceOf(...bytewise(bytes)), source, 'byte by byte');
        for (let cut = 1; cut < bytes.length; cut += 1) {
          assert.deepEqual(sourceOf(bytes.subarray(0, cut), bytes.subarray(cut)), source, `cut at ${cut}`);
        }
      }
    });

    test(`may say, in version ${version}, that it does not know`, () => {
      assert.equal(sourceOf(Buffer.concat([proxyHeader(version, null, V4), HELLO])), null);
    });
  }

  test('is one of UNKNOWN whatever stands behind that, up to the longest line', () => {
    const longest = `PROXY UNKNOWN ${'f'.repeat(107 - 16)}\r\n`;
    assert.equal(longest.length, 107);
    assert.equal(sourceOf(Buffer.concat([Buffer.from(longest), HELLO])), null);
    assert.match(problemOf(`PROXY UNKNOWN ${'f'.repeat(108 - 16)}\r\n`), /longer than 107 bytes/);
  });

  test('holds the longest line of two full addresses', () => {
    const full = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
    const line = Buffer.from(`PROXY TCP6 ${full} ${full} 65535 65535\r\n`);
    assert.deepEqual(sourceOf(Buffer.concat([line, HELLO])), { address: full, port: 65_535 });
  });

  test('has an IPv4 visitor in IPv6 form as IPv4 has it, so that one visitor has one address', () => {
    const mapped = Buffer.from('PROXY TCP6 ::ffff:cb00:7107 ::1 1 2\r\n');
    assert.deepEqual(sourceOf(Buffer.concat([mapped, HELLO])), { address: '::ffff:203.0.113.7', port: 1 });
  });

  test('of LOCAL, of a Unix socket and of UDP leaves the address of the connection', () => {
    for (const given of [
      { command: 0x20, family: 0x00, body: Buffer.alloc(0) },
      { command: 0x20, family: 0xff, body: Buffer.alloc(300) },
      { family: 0x31, body: Buffer.alloc(216) },
      { family: 0x12 },
      { family: 0x00, body: Buffer.alloc(7) },
    ]) {
      assert.equal(sourceOf(Buffer.concat([binary(given), HELLO])), null, JSON.stringify(given));
    }
  });

  test('may have TLVs to the end of its length, which are skipped and not held', () => {
    const body = Buffer.concat([Buffer.from('cb00710700000000000101bb', 'hex'), Buffer.alloc(65_523, 7)]);
    const bytes = Buffer.concat([binary({ body }), HELLO]);
    assert.deepEqual(sourceOf(bytes), { address: '203.0.113.7', port: 1 });
    assert.deepEqual(sourceOf(bytes.subarray(0, 40), bytes.subarray(40, 60_000), bytes.subarray(60_000)), {
      address: '203.0.113.7',
      port: 1,
    });
  });

  for (const [what, bytes, problem] of [
    ['TLS instead', '\x16\x03\x01\x02\x00', /no PROXY header: it begins with 16030102/],
    ['HTTP instead', 'GET / HTTP/1.1\r\n', /no PROXY header/],
    ['a lower case line', 'proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n', /no PROXY header/],
    ['a line without an end', `PROXY TCP4 ${'1'.repeat(200)}`, /longer than 107/],
    ['a line that ends in LF', 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n', /CR LF/],
    ['a line with a lone CR', 'PROXY TCP4 1.1.1.1\r2.2.2.2 1 2\r\n', /CR LF/],
    ['another family', 'PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n', /family/],
    ['UNKNOWN with more letters', 'PROXY UNKNOWNS\r\n', /family/],
    ['a word for the second address', 'PROXY TCP4 1.1.1.1 here 1 2\r\n', /addresses of TCP4/],
    ['IPv6 as TCP4', 'PROXY TCP4 ::1 ::2 1 2\r\n', /addresses of TCP4/],
    ['IPv4 as TCP6', 'PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n', /addresses of TCP6/],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n', /addresses of TCP6/],
    ['an octal address', 'PROXY TCP4 010.0.0.1 2.2.2.2 1 2\r\n', /addresses of TCP4/],
    ['two spaces', 'PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n', /addresses/],
    ['a port too high', 'PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n', /ports/],
    ['a port with a zero before', 'PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n', /ports/],
    ['a signed port', 'PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n', /ports/],
    ['no second port', 'PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n', /ports/],
    ['a third port', 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n', /ports/],
    ['a space at the end', 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n', /ports/],
    ['a NUL', 'PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n', /addresses/],
    ['version 3', binary({ command: 0x31 }), /version 3/],
    ['version 0', binary({ command: 0x01 }), /version 0/],
    ['command 2', binary({ command: 0x22 }), /command 2/],
    ['an unknown family', binary({ family: 0x41 }), /family 65/],
    ['an unknown transport', binary({ family: 0x13 }), /family 19/],
    ['IPv4 in 11 bytes', binary({ body: Buffer.alloc(11) }), /too short/],
    ['IPv6 in 12 bytes', binary({ family: 0x21 }), /too short/],
    ['a signature with a wrong end', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.of(0x0b)]), /no PROXY header/],
  ] as const) {
    test(`is refused: ${what}`, () => {
      assert.match(problemOf(bytes as Buffer), problem);
      const whole = Buffer.from(bytes as string, 'latin1');
      assert.equal(read(...bytewise(whole)).verdict.kind, 'invalid', 'byte by byte');
    });
  }

  test('is judged by its first wrong byte, not by what else might come', () => {
    assert.equal(read(Buffer.from('P')).verdict.kind, 'more');
    assert.equal(read(Buffer.from('PX')).verdict.kind, 'invalid');
    assert.equal(read(Buffer.of(0x16)).verdict.kind, 'invalid');
  });
});

const byte = fc.nat(255);
const port = fc.nat(65_535);
const ipv4 = fc.tuple(byte, byte, byte, byte);
const ipv6 = fc.array(byte, { minLength: 16, maxLength: 16 });

function groups(bytes: readonly number[]): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/.{4}(?!$)/g, '$&:');
}

/** Headers as another implementation writes them. */
const written = fc.oneof(
  fc.tuple(ipv4, ipv4, port, port).map(([from, to, a, b]) => {
    const line = new V1ProxyProtocol(INETProtocol.TCP4, new Peer(from.join('.'), a), new Peer(to.join('.'), b));
    return { bytes: Buffer.from(line.build()), address: from.join('.'), port: a };
  }),
  fc.tuple(ipv6, ipv6, port, port).map(([from, to, a, b]) => {
    const line = new V1ProxyProtocol(INETProtocol.TCP6, new Peer(groups(from), a), new Peer(groups(to), b));
    return { bytes: Buffer.from(line.build()), address: groups(from), port: a };
  }),
  fc.tuple(ipv4, ipv4, port, port).map(([from, to, a, b]) => {
    const ends = new IPv4ProxyAddress(
      IPv4Address.createFrom(from as [number, number, number, number]),
      a,
      IPv4Address.createFrom(to as [number, number, number, number]),
      b,
    );
    const header = new V2ProxyProtocol(Command.PROXY, TransportProtocol.STREAM, ends);
    return { bytes: Buffer.from(header.build()), address: from.join('.'), port: a };
  }),
  fc.tuple(ipv6, ipv6, port, port).map(([from, to, a, b]) => {
    const address = (bytes: readonly number[]) => new IPv6Address(bytes as never);
    const ends = new IPv6ProxyAddress(address(from), a, address(to), b);
    const header = new V2ProxyProtocol(Command.PROXY, TransportProtocol.STREAM, ends);
    return { bytes: Buffer.from(header.build()), address: groups(from), port: a };
  }),
);

/** The bytes in pieces of these sizes. */
function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const cut: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    if (at < bytes.length) cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return cut;
}

/** All that tells two spellings of one IPv6 address apart is gone. */
function spelled(address: string): string {
  return proxyHeader(2, { address, port: 0 }, { address: address.includes(':') ? '::' : '0.0.0.0', port: 0 }).toString(
    'hex',
  );
}

describe('PROXY headers of proxy-protocol-js', () => {
  test('are all understood, in any pieces', () => {
    fc.assert(
      fc.property(written, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 10 }), (header, sizes) => {
        const source = sourceOf(...pieces(Buffer.concat([header.bytes, HELLO]), sizes));
        assert.equal(source?.port, header.port);
        assert.equal(spelled(source?.address ?? ''), spelled(header.address));
      }),
      { numRuns: 1_000 },
    );
  });

  test('that were damaged are understood or refused, never an exception, never more than one verdict or 65,551 bytes', () => {
    const damage = fc.record({ at: fc.nat(60), value: byte, kind: fc.constantFrom('set', 'insert', 'cut') });
    fc.assert(
      fc.property(written, fc.array(damage, { minLength: 1, maxLength: 6 }), (header, damages) => {
        let bytes: Buffer = Buffer.concat([header.bytes, HELLO]);
        for (const { at, value, kind } of damages) {
          const place = at % bytes.length;
          const after = kind === 'insert' ? place : place + 1;
          const middle = kind === 'cut' ? [] : [Buffer.of(value)];
          bytes = Buffer.concat([bytes.subarray(0, place), ...middle, bytes.subarray(after)]);
        }
        const whole = read(bytes).verdict;
        const split = read(...bytewise(bytes)).verdict;
        assert.equal(whole.kind, split.kind);
        if (whole.kind === 'header' && split.kind === 'header') assert.deepEqual(whole.source, split.source);
        const reader = new ProxyHeaderReader();
        const endless = Buffer.concat([bytes, Buffer.alloc(65_551)]);
        assert.notEqual(reader.push(endless).kind, 'more', 'nothing is waited for beyond the longest header');
      }),
      { numRuns: 2_000 },
    );
  });
});
