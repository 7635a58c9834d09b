import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TargetAddress } from '../../src/index.ts';
import { listenOn } from './listen-on.ts';
import { within } from './within.ts';

/** A TCP target that greets each connection with a name of its own, then sends back what it gets. */
export interface EchoTarget {
  readonly address: TargetAddress;
  close(): void;
}

export async function startEchoTarget(name: string): Promise<EchoTarget> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    socket.write(name);
    socket.pipe(socket);
  });
  const port = await listenOn(server);
  return {
    address: { kind: 'tcp', host: '127.0.0.1', port },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** What the target says first; the stream stays open. */
export async function greetingOf(stream: Duplex): Promise<string> {
  const [chunk] = await within('a greeting', once(stream, 'data'));
  return String(chunk);
}
