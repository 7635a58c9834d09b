import { once } from 'node:events';
import type { Program } from './program.ts';

/** What a process holds after a garbage collection, bytes. */
export interface HeapFigures {
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

/** Asks a program that was started with the memory probe. */
export async function readHeap(program: Program): Promise<HeapFigures> {
  const answer = once(program.child, 'message');
  program.child.send('memory');
  const [figures] = (await answer) as [HeapFigures];
  return figures;
}
