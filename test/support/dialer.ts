import type { Duplex } from 'node:stream';
import type { Dialer, DialOptions } from '../../src/core/dial.ts';

export interface Dialled {
  readonly name: string;
  readonly options: DialOptions;
}

/** A dialer that remembers what it was asked for and leaves the answer to the test. */
export class FakeDialer implements Dialer {
  readonly calls: Dialled[] = [];
  readonly #answer: (dialled: Dialled) => Promise<Duplex>;

  constructor(answer: (dialled: Dialled) => Promise<Duplex>) {
    this.#answer = answer;
  }

  dial(name: string, options: DialOptions): Promise<Duplex> {
    const dialled = { name, options };
    this.calls.push(dialled);
    return this.#answer(dialled);
  }
}
