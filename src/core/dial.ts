import type { Duplex } from 'node:stream';
import type { Way } from './events.ts';

/** What goes with a dial: who asks, for what, and how to give up. */
export interface DialOptions {
  readonly way: Way;
  /**
   * What passes is HTTP/1.1, one exchange after the other, so that an agent with several routes can read it. Default: on the way
   * `https` alone; any other stream is bytes.
   */
  readonly http?: boolean;
  /** Transaction id (UUID) that names this stream in the logs of both sides. */
  readonly transaction: string;
  /** The visitor's address, `ip:port`. */
  readonly client?: string;
  /** Where the visitor came to, `ip:port`. */
  readonly arrivedAt?: () => string;
  /** Abort ends the dial with `dial-aborted`; a stream that is open already is not touched. */
  readonly signal?: AbortSignal;
}

/** Budgets that an agent's configuration sets for HTTP exchanges with its target, ms; 0: none. */
export interface TargetTimeouts {
  /** Starts when the request was sent in full; ends when the response head arrived. */
  readonly readMs: number;
  /** Starts when bytes wait to be taken by the target; ends, and starts again, when some were. */
  readonly writeMs: number;
}

/**
 * A live tunnel, or a backend beside the server, as a way in sees it. A stream that `open` gives is a Duplex with `allowHalfOpen`: its `end` event means
 * that the target ended cleanly, every cut is an `error`, and `destroy(error)` reaches the target as a reset.
 */
export interface Carrier {
  readonly id: string;
  readonly domain: string;
  /** Null for a backend, which has no agent. */
  readonly instance: string | null;
  /** The agent asked that no stream be shared by two visitors (`Backdial-Stream: visitor`). */
  readonly streamPerVisitor: boolean;
  readonly timeouts: TargetTimeouts;
  /** Rises when the agent's targets changed: a stream that was opened before serves no other exchange once it is free. */
  readonly epoch: number;
  /** False once it drains or is lost: nothing new is to be opened here. */
  readonly usable: boolean;
  /** Aborted, once, when the carrier stops being usable: idle streams on it should be ended. */
  readonly leaving: AbortSignal;
  /** Opens a stream; `authority` is `domain[:port]` as the visitor asked for it. Fails with a BackdialError. */
  open(authority: string, options: DialOptions): Promise<Duplex>;
}

/** Chooses among the live tunnels of a domain, and its backend where there are none; balancing lives here. */
export interface CarrierSource {
  /**
   * The next carrier for a domain (never for an instance of one: its policy would be that of another name), leaving out those in `except` (already tried). Fails with `domain-unknown`,
   * `domain-unserved` or, when all that are left are full, `stream-limit`.
   */
  pick(domain: string, except?: ReadonlySet<Carrier>): Carrier;
  /** Whether the domain has a tunnel or a backend; takes nobody's turn. */
  serves(domain: string): boolean;
}

/** An open stream, and which instance it leads to. */
export interface Dialled {
  readonly stream: Duplex;
  /** Null for a backend beside the server. */
  readonly instance: string | null;
  /** Aborted, with a BackdialError, when the stream is to be cut; null: it ends by itself. */
  readonly ended: AbortSignal | null;
  /** See {@link Carrier.leaving}: a stream that is kept for later should be ended then. Null where nothing ever leaves. */
  readonly leaving: AbortSignal | null;
}

/** The one primitive of Backdial (design, section 2): a name becomes a byte stream. */
export interface Dialer {
  /** `name` is `domain`, `domain:port`, `instance.domain` or `instance.domain:port`. Fails with a BackdialError. */
  dial(name: string, options: DialOptions): Promise<Duplex>;
}
