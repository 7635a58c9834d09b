import type { Duplex } from 'node:stream';
import type { DialOptions, Dialled as Opened } from '../../src/core/dial.ts';
import type { StreamDialer } from '../../src/server/byte-visits.ts';

export interface Dialled {
  readonly name: string;
  readonly options: DialOptions;
}

/** A dialer that remembers what it was asked for and leaves the answer to the test. */
export class FakeDialer implements StreamDialer {
  readonly calls: Dialled[] = [];
  readonly #answer: (dialled: Dialled) => Promise<Duplex>;

  constructor(answer: (dialled: Dialled) => Promise<Duplex>) {
    this.#answer = answer;
  }

  async open(name: string, options: DialOptions): Promise<Opened> {
    const dialled = { name, options };
    this.calls.push(dialled);
    const leaving = new AbortController().signal;
    return { stream: await this.#answer(dialled), instance: 'one', leaving, ended: null };
  }
}
