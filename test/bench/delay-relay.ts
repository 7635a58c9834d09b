import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { argv, stdout } from 'node:process';

/**
 * A relay that behaves as a long path: every byte arrives `delayMs` later than it was sent, and each direction carries at
 * most `bitsPerSecond`. A program of its own, so that its work is not that of what is measured:
 *
 *     node test/bench/delay-relay.ts PORT DELAY_MS BITS_PER_SECOND      prints the port on which it listens
 */
const [to, delayMs, bitsPerSecond] = argv.slice(2).map(Number);
if (to === undefined || delayMs === undefined || bitsPerSecond === undefined) throw new Error('PORT DELAY_MS BITS');
const bytesPerMs = bitsPerSecond / 8_000;
/** What may wait in one direction: what is under way on the path, and a router's buffer. */
const MAX_WAITING_BYTES = bytesPerMs * (2 * delayMs + 20);

/** One direction: chunks wait for their time; the sender is held back when the path is full. */
function carry(from: Socket, into: Socket, delay: number): void {
  const queue: { readonly due: number; readonly chunk: Buffer | null }[] = [];
  let waiting = 0;
  /** When the line has sent what it was given so far. */
  let lineFreeAt = 0;
  let timer: NodeJS.Timeout | null = null;

  const deliver = (): void => {
    timer = null;
    const now = performance.now();
    into.cork();
    for (let next = queue[0]; next !== undefined && next.due <= now; next = queue[0]) {
      queue.shift();
      if (next.chunk === null) into.end();
      else {
        waiting -= next.chunk.length;
        into.write(next.chunk);
      }
    }
    into.uncork();
    if (waiting < MAX_WAITING_BYTES && from.isPaused()) from.resume();
    schedule();
  };
  const schedule = (): void => {
    const next = queue[0];
    if (timer === null && next !== undefined) timer = setTimeout(deliver, Math.max(0, next.due - performance.now()));
  };
  const push = (chunk: Buffer | null): void => {
    const now = performance.now();
    lineFreeAt = Math.max(lineFreeAt, now) + (chunk === null ? 0 : chunk.length / bytesPerMs);
    queue.push({ due: lineFreeAt + delay, chunk });
    schedule();
  };
  from.on('data', (chunk: Buffer) => {
    waiting += chunk.length;
    push(chunk);
    if (waiting >= MAX_WAITING_BYTES) from.pause();
  });
  from.on('end', () => push(null));
  from.on('error', () => into.resetAndDestroy());
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  carry(near, far, delayMs);
  carry(far, near, delayMs);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
stdout.write(`${(server.address() as { port: number }).port}\n`);
