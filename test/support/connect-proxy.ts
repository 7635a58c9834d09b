import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Server, type Socket } from 'node:net';
import { testCertificate } from './certificates.ts';
import { listenOn } from './listen-on.ts';

export interface ConnectProxyOptions {
  /** Speak TLS to the client too. */
  readonly secure?: boolean;
  /** `login:password`; anything else gets 407. */
  readonly credentials?: string;
  /** Where a name leads: the proxy resolves names of its own, which nobody else knows. */
  readonly hosts?: Readonly<Record<string, string>>;
}

/** A real proxy that knows `CONNECT`, and remembers what it was asked for. */
export class ConnectProxy {
  /** `CONNECT` authorities, in order. */
  readonly asked: string[] = [];
  port = 0;
  readonly #options: ConnectProxyOptions;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(options: ConnectProxyOptions = {}) {
    this.#options = options;
    const { cert, key } = testCertificate();
    const server = options.secure === true ? createHttpsServer({ cert, key }) : createHttpServer();
    server.on('connect', (request: IncomingMessage, client: Socket) => this.#connect(request, client));
    server.on('connection', (socket: Socket) => this.#keep(socket));
    this.#server = server;
  }

  async listen(): Promise<number> {
    this.port = await listenOn(this.#server);
    return this.port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #connect(request: IncomingMessage, client: Socket): void {
    client.on('error', () => {});
    this.asked.push(request.url ?? '');
    const { credentials, hosts = {} } = this.#options;
    const shown = request.headers['proxy-authorization'];
    if (credentials !== undefined && shown !== `Basic ${Buffer.from(credentials).toString('base64')}`) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\n\r\n');
      return;
    }
    const [name = '', port] = (request.url ?? '').split(':');
    const server = connect({ host: hosts[name] ?? name, port: Number(port) });
    this.#keep(server);
    server.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    server.on('connect', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
  }
}
