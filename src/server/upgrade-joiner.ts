import type { Duplex } from 'node:stream';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { Switched } from '../net/forward.ts';
import { resetDuplex } from '../net/reset.ts';
import { type SpliceResult, splice } from '../net/splice.ts';
import { headersOfSwitch, isSwitchTo } from '../net/websocket-bridge.ts';
import type { Visit } from './visit.ts';

/** A target's 101, and the visitor who asked for it. */
export interface JoinOrder {
  readonly visit: Visit;
  /** What `Upgrade` (or `:protocol`) asked for. */
  readonly protocol: string;
  /** The key that this server made; null where the visitor's own went through. */
  readonly key: string | null;
  readonly switched: Switched;
  /** Added to the answer. */
  readonly headers: readonly string[];
}

/** How a switched exchange ended; counts are bytes of the new protocol. */
export interface JoinEnd {
  readonly error: BackdialError | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Joins visitors and targets that switched protocols. No time-out of requests applies to them any more. */
export class UpgradeJoiner {
  readonly #closing = new AbortController();
  #open = 0;

  get openCount(): number {
    return this.#open;
  }

  /** Passes the 101 on and carries bytes until both sides ended. Never rejects; an `upgrade-failed` is not answered yet. */
  async join({ visit, protocol, key, switched, headers }: JoinOrder): Promise<JoinEnd> {
    const { head, stream } = switched;
    if (!isSwitchTo(head, protocol, key)) {
      const error = new BackdialError('upgrade-failed', `Upgrade: ${head.upgrade ?? 'none'}`);
      resetDuplex(stream, error);
      return { error, bytesIn: 0, bytesOut: 0 };
    }
    const fields = key === null ? head.headers : headersOfSwitch(head.headers);
    fields.push(...headers);
    if (key === null) fields.push('Connection', 'Upgrade', 'Upgrade', head.upgrade ?? '');
    const visitor = visit.exchange.upgrade(head.reason, fields);
    if (visitor === null) {
      const error = visit.exchange.gone ?? new BackdialError('visitor-reset');
      resetDuplex(stream, error);
      return { error, bytesIn: 0, bytesOut: 0 };
    }
    return this.carry(visitor, stream);
  }

  /** Carries bytes until both sides ended, or `ended` cuts them; owns both. Never rejects. */
  async carry(visitor: Duplex, stream: Duplex, ended: AbortSignal | null = null): Promise<JoinEnd> {
    this.#open += 1;
    const { signal } = this.#closing;
    const result = await splice(visitor, stream, {
      signal: ended === null ? signal : AbortSignal.any([signal, ended]),
    });
    this.#open -= 1;
    return { error: endOf(result), bytesIn: result.bytesAToB, bytesOut: result.bytesBToA };
  }

  /** Cuts what is still joined. */
  cut(): void {
    this.#closing.abort(new BackdialError('tunnel-draining', 'the server is closing'));
  }
}

function endOf({ end, error }: SpliceResult): BackdialError | null {
  switch (end) {
    case 'done':
      return null;
    case 'a-reset':
      return new BackdialError('visitor-reset');
    case 'b-reset':
      return asBackdialError(error, 'target-lost');
    case 'aborted':
      return asBackdialError(error, 'tunnel-draining');
  }
}
