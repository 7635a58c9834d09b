import { formatAddress } from '../core/address.ts';
import type { ServerRoute } from './dial-server.ts';

/** What waits for one server address, and how much of it is under way. */
interface Line {
  busy: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/**
 * Bounds the dials that are under way to one server address. A machine gets through so many handshakes a second, however many
 * it has begun: of thousands at once each takes longer than its deadline, and none of them ever succeeds. Each address has a
 * line of its own, so that one that does not answer holds up no other.
 */
export class DialTurns {
  readonly #most: number;
  readonly #lines = new Map<string, Line>();

  /** `most`: dials to one address at the same time. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Dials once it is its turn, which lasts until `dial` has settled. Rejects with the signal's reason where that comes first. */
  async during<T>(route: ServerRoute, signal: AbortSignal, dial: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const key = keyOf(route);
    const line = this.#lines.get(key) ?? { busy: 0, waiting: new Set() };
    this.#lines.set(key, line);
    if (line.busy < this.#most) line.busy += 1;
    // Whoever ends a turn hands it over.
    else await handedOver(line.waiting, signal);
    try {
      return await dial();
    } finally {
      this.#pass(key, line);
    }
  }

  #pass(key: string, line: Line): void {
    const [next] = line.waiting;
    if (next !== undefined) {
      line.waiting.delete(next);
      next();
      return;
    }
    line.busy -= 1;
    if (line.busy === 0) this.#lines.delete(key);
  }
}

function handedOver(waiting: Line['waiting'], signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const next = () => {
    signal.removeEventListener('abort', signalOnAbort);
    resolve();
  };
  const signalOnAbort = () => {
    waiting.delete(next);
    reject(signal.reason);
  };
  waiting.add(next);
  signal.addEventListener('abort', signalOnAbort, { once: true });
  return promise;
}

/** Names of one address are one; a server that a proxy resolves counts by its name. */
function keyOf({ remote, address, proxy }: ServerRoute): string {
  const server = formatAddress({ host: address ?? remote.host, port: remote.port });
  return proxy === null ? server : `${server} by ${formatAddress(proxy)}`;
}
