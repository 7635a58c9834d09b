import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A service behind NAT, played on loopback. */
export interface SampleService {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the service that `demo` exposes: it answers with what it saw of the request. */
export async function startSampleService(): Promise<SampleService> {
  const server = createServer(answer);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const lines = [
    'Hello from behind the tunnel.',
    '',
    `${request.method} ${request.url}`,
    ...pairs(request.rawHeaders).map(([name, value]) => `${name}: ${value}`),
    '',
  ];
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(lines.join('\n'));
}

function pairs(raw: readonly string[]): readonly [string, string][] {
  return raw.flatMap((name, index) => (index % 2 === 0 ? [[name, raw[index + 1] ?? '']] : []));
}
