import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { peekClientHello } from '../../src/net/peek.ts';
import { hello } from '../support/client-hello.ts';
import { type Bench, type Figure, figure, type Limit } from './bench.ts';

/** As browsers send it since they offer a post-quantum key share. */
const HELLO_BODY_BYTES = 1_900;
/** Of a path with the usual MTU. */
const FIRST_SEGMENT_BYTES = 1_448;
const NAME = 'www.example.com';
const HELLOS_A_ROUND = 50_000;
const DEADLINE_MS = 10_000;

/** What a peek at a ClientHello costs without any network: in this process, on sockets that are none. */
export const peek: Bench = {
  name: 'peek',
  title: `peeks at ClientHellos of ${HELLO_BODY_BYTES} bytes, one core, no network`,
  tools: [],
  run({ rounds }) {
    const wire = hello({ serverName: NAME, alpn: ['h2', 'http/1.1'], bodyBytes: HELLO_BODY_BYTES });
    const halves = [wire.subarray(0, FIRST_SEGMENT_BYTES), wire.subarray(FIRST_SEGMENT_BYTES)];
    return Promise.resolve([
      ...measure('in one segment', [wire], rounds, { atMost: 0 }),
      // They have to be put together: once as they came, once without the headers of records.
      ...measure('in two segments', halves, rounds, { atMost: 4 }),
    ]);
  },
};

function measure(view: string, segments: readonly Buffer[], rounds: number, copies: Limit): Figure[] {
  const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
  peekOften(segments);
  const speeds: number[] = [];
  const heap: number[] = [];
  const buffers: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const outside = buffersMade;
    const inside = getHeapStatistics().total_allocated_bytes;
    const start = process.cpuUsage();
    peekOften(segments);
    const { user, system } = process.cpuUsage(start);
    speeds.push((HELLOS_A_ROUND * 1e6) / (user + system));
    heap.push((getHeapStatistics().total_allocated_bytes - inside) / HELLOS_A_ROUND);
    buffers.push((buffersMade - outside) / HELLOS_A_ROUND / bytes);
  }
  return [
    figure('peek', view, 'hellos a CPU second', speeds, { atLeast: 20_000 }),
    figure('peek', `objects, ${view}`, 'bytes a hello', heap),
    figure('peek', `buffers, ${view}`, 'x its size', buffers, copies),
  ];
}

function peekOften(segments: readonly Buffer[]): void {
  let seen = 0;
  const allocate = Buffer.allocUnsafeSlow;
  Buffer.allocUnsafeSlow = (size) => {
    buffersMade += size;
    return allocate(size);
  };
  try {
    for (let index = 0; index < HELLOS_A_ROUND; index += 1) {
      const socket = new StillSocket();
      peekClientHello(socket as unknown as Socket, { deadlineMs: DEADLINE_MS }, (peeked) => {
        if (peeked.kind === 'hello' && peeked.serverName === NAME) seen += 1;
      });
      for (const segment of segments) socket.emit('data', segment);
      assert.equal(socket.unread, true);
    }
  } finally {
    Buffer.allocUnsafeSlow = allocate;
  }
  assert.equal(seen, HELLOS_A_ROUND);
}

/** Of buffers that were made while hellos were gathered. */
let buffersMade = 0;

class StillSocket extends EventEmitter {
  unread = false;

  pause(): this {
    return this;
  }

  unshift(): void {
    this.unread = true;
  }
}
