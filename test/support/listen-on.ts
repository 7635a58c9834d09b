import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Listens on a free port of the loopback address; the port. */
export async function listenOn(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** To be called before `server` accepts: the returned function closes it and every connection that it accepted. */
export function closerOf(server: Server): () => Promise<void> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  };
}

/** Runs `body` with the port of a server that listens on the loopback address, and closes it with all its connections. */
export async function withListener(server: Server, body: (port: number) => Promise<void>): Promise<void> {
  const close = closerOf(server);
  const port = await listenOn(server);
  try {
    await body(port);
  } finally {
    await close();
  }
}
