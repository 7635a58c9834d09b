import { once } from 'node:events';
import net from 'node:net';
import { closerOf } from './listen-on.ts';

/** Both ends of a connection; disposing of it ends them and their listener. */
export interface ConnectedPair extends AsyncDisposable {
  /** Who connected. */
  readonly near: net.Socket;
  readonly far: net.Socket;
}

/** Connects to a listener at `listen`, by default of the loopback address: by its path, or from the address `from`. */
export async function connectedPair(
  listen: net.ListenOptions = { host: '127.0.0.1', port: 0 },
  from = listen.host,
): Promise<ConnectedPair> {
  const server = net.createServer({ allowHalfOpen: true });
  const close = closerOf(server);
  server.listen(listen);
  await once(server, 'listening');
  const address = server.address() as net.AddressInfo | string;
  const near = net.connect(typeof address === 'string' ? { path: address } : { host: from, port: address.port });
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[net.Socket], unknown];
  near.on('error', () => {});
  far.on('error', () => {});
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      await close();
    },
  };
}
