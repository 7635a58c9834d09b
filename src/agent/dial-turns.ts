import { formatAddress } from '../core/address.ts';
import { Turns } from '../core/turns.ts';
import type { ServerRoute } from './dial-server.ts';

/**
 * Bounds the dials that are under way to one server address. A machine gets through so many handshakes a second, however many
 * it has begun: of thousands at once each takes longer than its deadline, and none of them ever succeeds. Each address has
 * turns of its own, so that one that does not answer holds up no other.
 */
export class DialTurns {
  readonly #most: number;
  readonly #byAddress = new Map<string, Turns>();

  /** `most`: dials to one address at the same time. */
  constructor(most: number) {
    this.#most = most;
  }

  /** See {@link Turns.during}. */
  async during<T>(route: ServerRoute, signal: AbortSignal, dial: () => Promise<T>): Promise<T> {
    const key = keyOf(route);
    const turns = this.#byAddress.get(key) ?? new Turns(this.#most);
    this.#byAddress.set(key, turns);
    try {
      return await turns.during(signal, dial);
    } finally {
      if (turns.isIdle && this.#byAddress.get(key) === turns) this.#byAddress.delete(key);
    }
  }
}

/** Names of one address are one; a server that a proxy resolves counts by its name. */
function keyOf({ remote, address, proxy }: ServerRoute): string {
  const server = formatAddress({ host: address ?? remote.host, port: remote.port });
  return proxy === null ? server : `${server} by ${formatAddress(proxy)}`;
}
