import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { listenOn } from '../support/listen-on.ts';
import { blocks } from './blocks.ts';

/** A target that hashes what it sends and what it gets. */
export interface HashingTarget {
  readonly port: number;
  /** SHA-256 of the last transfer as the target has seen it, hexadecimal. */
  sha256(): string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `GET /download` sends so many bytes, any other method is an upload; `GET /` answers at once. */
export async function startHashingTarget(bytes: number): Promise<HashingTarget> {
  let digest = '';
  const server = createServer((request, response) => {
    const hash = createHash('sha256');
    if (request.method !== 'GET') {
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => {
        digest = hash.digest('hex');
        response.end();
      });
    } else if (request.url === '/download') {
      response.setHeader('content-length', bytes);
      const source = blocks(bytes);
      source.on('data', (chunk: Buffer) => hash.update(chunk));
      source.on('end', () => {
        digest = hash.digest('hex');
      });
      source.pipe(response);
    } else {
      response.end('here');
    }
  });
  const port = await listenOn(server);
  return {
    port,
    sha256: () => digest,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
