import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import { type AgentTunnel, serveTunnel } from '../../src/tunnel/agent-session.ts';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { AGENT_LIVENESS } from '../../src/tunnel/types.ts';
import { testCertificate } from '../support/certificates.ts';
import { within } from '../support/within.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING] = [0, 1, 3, 4, 6] as const;
const ACK = 1;
const END_HEADERS = 4;
const CANCEL = Buffer.from([0, 0, 0, 8]);

function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.set([type, flags], 3);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

/** `CONNECT www.test`, over the way `tcp` (RFC 7541: literals without indexing). */
const CONNECT = Buffer.concat(
  [
    ['\x02', 'CONNECT'],
    ['\x01', 'www.test'],
    ['\x00', 'backdial-way', 'tcp'],
  ].map(([first = '', ...texts]) =>
    Buffer.from(first + texts.map((text) => String.fromCharCode(text.length) + text).join(''), 'latin1'),
  ),
);

/** An agent's end of a tunnel whose other end writes frames by hand. Every stream is accepted. */
async function withBareServer(
  concurrency: number,
  body: (write: (...frames: Buffer[]) => void, agent: AgentTunnel, received: () => Buffer) => Promise<void>,
): Promise<void> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const raw = connect((listener.address() as { port: number }).port, '127.0.0.1');
  const [accepted] = (await once(listener, 'connection')) as [Socket];
  listener.close();
  const { cert, key } = testCertificate();
  const tls = createTlsServer({ cert, key });
  tls.emit('connection', accepted);
  const socket = tlsConnect({ socket: raw, rejectUnauthorized: false });
  const [[server]] = (await Promise.all([once(tls, 'secureConnection'), once(socket, 'secureConnect')])) as [
    [TLSSocket],
    unknown,
  ];
  let bytes = Buffer.alloc(0);
  server
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
    });
  const agent = serveTunnel(socket, {
    concurrency,
    liveness: AGENT_LIVENESS,
    budget: new MemoryBudget({ tunnelMemoryBytes: 67_108_864, memoryBytes: 536_870_912 }),
    onStream: (stream) => stream.accept({ readMs: 0, writeMs: 0 }).on('error', () => {}),
  });
  try {
    server.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, ACK, 0)]));
    await body(
      (...frames) => void server.write(Buffer.concat(frames)),
      agent,
      () => bytes,
    );
  } finally {
    agent.destroy();
    server.destroy();
  }
}

test('streams that were given up before the agent came to look at them cost it no other stream', () =>
  withBareServer(100, async (write, agent, received) => {
    write(frame(HEADERS, END_HEADERS, 1, CONNECT));
    // What piles up while an agent is held up; in one piece, so that it is read in one turn.
    const given = Array.from({ length: 600 }, (_, i) => {
      const id = 3 + 2 * i;
      return [frame(HEADERS, END_HEADERS, id, CONNECT), frame(RST_STREAM, 0, id, CANCEL)];
    });
    write(...given.flat());
    const ping = Buffer.from('alive?!?');
    write(frame(PING, 0, 0, ping));
    const answered = async () => {
      while (!received().includes(frame(PING, ACK, 0, ping))) await new Promise(setImmediate);
    };
    await within('the answer to a PING', Promise.race([answered(), agent.closed]));
    assert.equal(agent.reason, null);
    assert.equal(agent.streamCount, 1);
  }));

test('a server that breaks HTTP/2 is said to have done so', async () => {
  for (const broken of [frame(DATA, 0, 7, CANCEL), frame(SETTINGS, 0, 0, Buffer.alloc(5)), Buffer.alloc(1_000, 0xff)]) {
    await withBareServer(100, async (write, agent) => {
      write(broken);
      const { reason, detail } = await within('the end', agent.closed);
      assert.equal(reason, 'protocol-error', String(detail));
    });
  }
});
