import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import * as net from 'node:net';
import { fileURLToPath } from 'node:url';
import { within } from '../support/within.ts';

/** The file of this program: the target of a storm, in a process of its own. */
const STORM_TARGET = fileURLToPath(import.meta.url);
export const BANNER = 'banner';

/** The head of an answer and a part of its body: the rest never comes. */
const BEGINNING = `HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly the beginning`;

if (process.argv[1] === STORM_TARGET) serve(process.argv[2] === 'banner', Number(process.argv[3]));

/** Starts the target of a storm, which greets with {@link BANNER} or only answers; resolves when it listens. */
export async function startStormTarget(mode: 'banner' | 'answer', port: number): Promise<ChildProcess> {
  const child = fork(STORM_TARGET, [mode, String(port)]);
  await within('the target', once(child, 'message'));
  return child;
}

/** Greets who connects, where it is to; answers `ping` with `pong`, and a request with half an answer. */
function serve(greets: boolean, port: number): void {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => socket.write(chunk.toString('latin1') === 'ping' ? 'pong' : BEGINNING));
    if (greets) socket.write(BANNER);
  });
  server.listen(port, '127.0.0.1', 4_096, () => process.send?.('listening'));
  process.once('disconnect', () => process.exit());
}
