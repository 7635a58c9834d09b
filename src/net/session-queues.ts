import type { Duplex, Readable } from 'node:stream';

/** What waits for the far ends of many streams, bytes. */
export interface Queues {
  bytes: number;
}

/** For what is no HTTP/2 stream. */
const NO_SESSION = {};

/** Sums of queues by HTTP/2 session: those that are stalled in one tunnel slow no newcomer of another. */
export class SessionQueues {
  readonly #bySession = new WeakMap<object, Queues>();

  of(stream: (Duplex | Readable) & { readonly session?: object | undefined }): Queues {
    const session = stream.session ?? NO_SESSION;
    let queues = this.#bySession.get(session);
    if (queues === undefined) {
      queues = { bytes: 0 };
      this.#bySession.set(session, queues);
    }
    return queues;
  }
}
