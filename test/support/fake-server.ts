import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { MemoryBudget } from '../../src/tunnel/memory-budget.ts';
import { answerHandshake, type HandshakeRequest, readHandshake } from '../../src/tunnel/server-handshake.ts';
import { ServerTunnel } from '../../src/tunnel/server-session.ts';
import { SERVER_LIVENESS } from '../../src/tunnel/types.ts';
import { type TestCertificate, testCertificate } from './certificates.ts';
import { listenOn } from './listen-on.ts';
import { eventually } from './within.ts';

/** How a fake server answers a handshake: with a tunnel, with a status, or never. */
export type FakeAnswer = 'accept' | 'hang' | number;

/** A handshake that arrived. */
export interface FakeHandshake extends HandshakeRequest {
  readonly request: IncomingMessage;
  /** `performance.now()` of its arrival. */
  readonly at: number;
}

export interface FakeServerOptions {
  readonly host?: string;
  readonly port?: number;
  readonly certificate?: Pick<TestCertificate, 'cert' | 'key'>;
  readonly answer?: (handshake: FakeHandshake, count: number) => FakeAnswer;
  /** What it says in Backdial-Node and Backdial-Workers. */
  readonly node?: (count: number) => string;
  readonly workers?: number;
}

/** The server's half of the wire, without front door, policy or registry: what it does to agents is the test's choice. */
export class FakeServer {
  readonly handshakes: FakeHandshake[] = [];
  readonly tunnels: ServerTunnel[] = [];
  /** Host names that came as SNI; null: none. */
  readonly names: Array<string | null> = [];
  port = 0;
  readonly #options: FakeServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #tcp = createServer((raw) => this.#accept(raw));
  readonly #tls;
  readonly #http = createHttpServer();

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
    const { cert, key } = options.certificate ?? testCertificate();
    this.#tls = createTlsServer({ cert, key, ALPNProtocols: ['http/1.1'] }, (socket) => {
      socket.on('error', () => {});
      this.names.push(typeof socket.servername === 'string' ? socket.servername : null);
      this.#http.emit('connection', socket);
    });
    this.#tls.on('tlsClientError', () => {});
    this.#http.on('upgrade', (request: IncomingMessage, socket: TLSSocket) => this.#upgrade(request, socket));
  }

  async listen(): Promise<number> {
    const { host = '127.0.0.1', port = 0 } = this.#options;
    if (port === 0) this.port = await listenOn(this.#tcp, host);
    else {
      this.port = port;
      await new Promise<void>((resolve) => this.#tcp.listen(port, host, resolve));
    }
    return this.port;
  }

  /** Connections that are open now. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** The tunnels that take streams. */
  get live(): ServerTunnel[] {
    return this.tunnels.filter((tunnel) => tunnel.usable);
  }

  async untilLive(count: number): Promise<void> {
    await eventually(`${count} live tunnels`, () => this.live.length === count);
  }

  /** Closes the listener and resets every connection. */
  close(): void {
    this.#tcp.close();
    this.cutLinks();
  }

  /** Resets every connection. */
  cutLinks(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #accept(raw: Socket): void {
    raw.on('error', () => {});
    this.#sockets.add(raw);
    raw.on('close', () => this.#sockets.delete(raw));
    this.#tls.emit('connection', raw);
  }

  #upgrade(request: IncomingMessage, socket: TLSSocket): void {
    const handshake = { ...readHandshake(request), request, at: performance.now() };
    const count = this.handshakes.push(handshake);
    const answer = this.#options.answer?.(handshake, count) ?? 'accept';
    if (answer === 'hang') return;
    if (answer !== 'accept') {
      socket.end(`HTTP/1.1 ${answer} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const node = this.#options.node?.(count) ?? 'fake';
    const { domain, instance, slot } = handshake.head;
    answerHandshake(socket, { token: handshake.token, node, workers: this.#options.workers ?? 1 }, () => {
      const info = { id: `t${count}`, domain, instance, slot, remote: '127.0.0.1:1', node };
      this.tunnels.push(
        new ServerTunnel(socket, {
          info,
          streamPerVisitor: false,
          liveness: SERVER_LIVENESS,
          dialTimeoutMs: 30_000,
          budget: new MemoryBudget({ tunnelMemoryBytes: 67_108_864, memoryBytes: 536_870_912 }),
        }),
      );
    });
  }
}

/** Runs a fake server while `body` does. */
export async function withFakeServer(
  options: FakeServerOptions,
  body: (server: FakeServer) => Promise<void>,
): Promise<void> {
  const server = new FakeServer(options);
  await server.listen();
  try {
    await body(server);
  } finally {
    server.close();
  }
}
