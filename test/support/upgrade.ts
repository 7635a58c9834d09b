import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { Peer } from './raw-target.ts';
import { connectWire } from './sockets.ts';
import { within } from './within.ts';

/** Any protocol that is not HTTP; who passes it on must not care. */
const PROTOCOL = 'backdial-test';
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Sends a request for another protocol on a fresh HTTP/1.1 connection. */
export async function askForUpgrade(visitor: Peer, protocol = PROTOCOL): Promise<void> {
  const fields = ['Host: www.example.com', 'Connection: keep-alive, Upgrade', `Upgrade: ${protocol}`];
  await visitor.send(`GET /upgrade HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`);
}

/** The target's part: reads the request's head and agrees to whatever it asks for; `behind` travels with the 101. */
export async function agreeToUpgrade(target: Peer, behind = ''): Promise<string> {
  const request = await target.receivedText('\r\n\r\n');
  target.drop(request.length + 4);
  const protocol = /^upgrade: *(.*)$/im.exec(request)?.[1];
  assert.ok(protocol !== undefined, `no Upgrade in ${request}`);
  const key = /^sec-websocket-key: *(.*)$/im.exec(request)?.[1];
  const fields = ['Connection: Upgrade', `Upgrade: ${protocol}`];
  if (key !== undefined) fields.push(`Sec-WebSocket-Accept: ${acceptOf(key)}`);
  await target.send(`HTTP/1.1 101 Switching Protocols\r\n${fields.join('\r\n')}\r\n\r\n${behind}`);
  return request;
}

/** Reads the 101 that {@link askForUpgrade} asked for; what came behind it stays in the inbox. */
export async function readSwitch(visitor: Peer): Promise<string> {
  const head = await visitor.receivedText('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 101 /);
  visitor.drop(head.length + 4);
  return head;
}

/** Asks for a WebSocket over HTTP/2 (RFC 8441): the stream of the extended CONNECT and the session that carries it. */
export async function askForHttp2WebSocket(
  port: number,
): Promise<{ stream: http2.ClientHttp2Stream; session: http2.ClientHttp2Session; peer: Peer }> {
  const wire = await connectWire(port, { tls: true, alpn: ['h2'], halfOpen: false });
  const session = http2.connect('https://www.example.com', { createConnection: () => wire.stream });
  session.on('error', () => {});
  await within('the settings', once(session, 'remoteSettings'));
  assert.equal(session.remoteSettings.enableConnectProtocol, true, 'extended CONNECT is offered');
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/upgrade', 'sec-websocket-version': '13' },
    { endStream: false },
  );
  const peer = new Peer(stream, wire.raw);
  return { stream, session, peer };
}

function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + WEBSOCKET_GUID)
    .digest('base64');
}
