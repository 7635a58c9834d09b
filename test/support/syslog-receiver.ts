import dgram from 'node:dgram';
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { eventually } from './within.ts';

/** An RFC 5424 message, taken apart. */
export interface SyslogMessage {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string;
  readonly host: string;
  readonly app: string;
  readonly procId: string;
  readonly msgId: string;
  readonly msg: string;
}

/** RFC 5424, section 6, without structured data, which we send none of; MSG in printable ASCII, as ours is. */
const MESSAGE =
  /^<(0|[1-9]\d{0,2})>1 (\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) - ([ -~]+)$/;

/** Parses strictly: throws for anything that RFC 5424 does not allow. */
export function parseSyslog(bytes: string): SyslogMessage {
  const match = MESSAGE.exec(bytes);
  if (match === null) throw new Error(`no RFC 5424 message: ${JSON.stringify(bytes.slice(0, 300))}`);
  const [, priority, timestamp = '', host = '', app = '', procId = '', msgId = '', msg = ''] = match;
  if (Number(priority) > 191) throw new Error(`priority ${priority}`);
  return { facility: Number(priority) >> 3, severity: Number(priority) & 7, timestamp, host, app, procId, msgId, msg };
}

/** A receiver that runs in this process. */
export interface Receiver {
  /** `port` of TCP and UDP, else 0. */
  readonly port: number;
  /** What arrived, parsed. Throws where that is no sequence of messages. */
  messages(): SyslogMessage[];
  /** The MSG of each, as JSON. */
  records(): Record<string, unknown>[];
  /** Waits until so many messages arrived. */
  got(count: number): Promise<void>;
  /** Stops reading what arrives, or reads on. */
  pause(): void;
  resume(): void;
  /** Closes listener and connections. */
  close(): Promise<void>;
}

/** Receives over TCP with octet counting (RFC 6587, 3.4.1), or on a Unix stream socket with line feeds. */
export async function streamReceiver(where: { readonly port: number } | { readonly path: string }): Promise<Receiver> {
  const connections: { readonly socket: Socket; text: string }[] = [];
  let paused = false;
  const server = net.createServer((socket) => {
    const connection = { socket, text: '' };
    connections.push(connection);
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (part: string) => {
      connection.text += part;
    });
    if (paused) socket.pause();
  });
  server.listen('path' in where ? where : { ...where, host: '127.0.0.1' });
  await once(server, 'listening');
  const address = server.address();
  const take = 'path' in where ? takeLines : takeCounted;
  return receiver({
    port: typeof address === 'object' && address !== null ? address.port : 0,
    texts: () => connections.flatMap(({ text }) => take(text)),
    pause: () => {
      paused = true;
      for (const { socket } of connections) socket.pause();
    },
    resume: () => {
      paused = false;
      for (const { socket } of connections) socket.resume();
    },
    close: async () => {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
}

/** Receives over UDP. */
export async function datagramReceiver(port = 0, type: 'udp4' | 'udp6' = 'udp4'): Promise<Receiver> {
  const texts: string[] = [];
  const socket = dgram.createSocket({ type, recvBufferSize: 4_000_000 });
  socket.on('message', (bytes) => texts.push(bytes.toString('latin1')));
  socket.bind(port, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  return receiver({
    port: socket.address().port,
    texts: () => texts,
    pause: () => {},
    resume: () => {},
    close: async () => {
      socket.close();
      await once(socket, 'close');
    },
  });
}

function receiver({
  texts,
  ...rest
}: Omit<Receiver, 'messages' | 'records' | 'got'> & { texts: () => string[] }): Receiver {
  const messages = () => texts().map(parseSyslog);
  return {
    ...rest,
    messages,
    records: () => messages().map(({ msg }) => JSON.parse(msg) as Record<string, unknown>),
    got: (count) => eventually(`${count} messages (of ${texts().length})`, () => texts().length >= count),
  };
}

/** Whole frames only: the last may still be on its way. */
function takeCounted(text: string): string[] {
  const frames: string[] = [];
  for (let at = 0; at < text.length; ) {
    const [head, length] = /^([1-9]\d{0,9}) /.exec(text.slice(at, at + 11)) ?? [];
    if (head === undefined || length === undefined) {
      if (text.length - at > 11) throw new Error(`no octet count: ${JSON.stringify(text.slice(at, at + 50))}`);
      break;
    }
    const end = at + head.length + Number(length);
    if (end > text.length) break;
    frames.push(text.slice(at + head.length, end));
    at = end;
  }
  return frames;
}

function takeLines(text: string): string[] {
  return text.split('\n').slice(0, -1);
}
