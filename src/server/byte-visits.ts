import type { Socket } from 'node:net';
import { formatPeer } from '../core/address.ts';
import type { Dialled, DialOptions } from '../core/dial.ts';
import { asBackdialError, BackdialError, ERRORS, type ErrorCode } from '../core/errors.ts';
import type { Observer, StreamEnd, Way } from '../core/events.ts';
import { type SpliceResult, splice } from '../net/splice.ts';
import type { DomainStreams } from './domain-streams.ts';
import { Gathering } from './gathering.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** Opens the stream of a visitor, and says which instance it leads to. */
export interface StreamDialer {
  open(name: string, options: DialOptions): Promise<Dialled>;
}

/** A visitor whose bytes pass as they are. */
export interface ByteVisit {
  /** With `allowHalfOpen`, unread: what the visitor sends waits in it, in order. */
  readonly socket: Socket;
  /** Whose places are limited; null: nobody's. */
  readonly policy: ResolvedDomain | null;
  /** What is dialled, in the dialer's words: `domain[:port]` or `instance.domain[:port]`. */
  readonly name: string;
  /** For the log: the domain that the visitor reached. */
  readonly domain: string;
  readonly way: Way;
  /** `ip:port`. */
  readonly remote: string;
  /** Epoch ms. */
  readonly start: number;
  /** The same moment as `performance.now()`: whoever sets the clock changes no duration. */
  readonly began: number;
  readonly transaction: string;
  /** Why the visitor's socket closed: `visitor-reset`, unless this side closed it. */
  endOfSocket(): StreamEnd;
}

export interface ByteVisitsOptions {
  readonly dialer: StreamDialer;
  readonly streams: DomainStreams;
  readonly options: { readonly observer: Observer };
}

/** How a visit ended. */
interface VisitEnd {
  readonly reason: StreamEnd;
  /** Of the refusal; null where the stream was open. */
  readonly status: number | null;
  readonly instance: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** What all ways in for byte streams do once they know whom a visitor wants: a place, a dial, a splice, one record. */
export class ByteVisits {
  readonly #dialer: StreamDialer;
  readonly #streams: DomainStreams;
  readonly #options: ByteVisitsOptions['options'];
  readonly #gathering = new Gathering();

  constructor({ dialer, streams, options }: ByteVisitsOptions) {
    this.#dialer = dialer;
    this.#streams = streams;
    this.#options = options;
  }

  /**
   * Joins the visitor to its stream; owns the socket, and resolves when both are over. Never rejects. Where the dial fails
   * `fail` tells the visitor (default: it is reset); a visitor that is gone by then is not told.
   */
  async serve(visit: ByteVisit, fail: (error: BackdialError) => void = () => reset(visit.socket)): Promise<void> {
    let dialled: Dialled;
    try {
      dialled = await this.#dial(visit);
    } catch (thrown) {
      const error = asBackdialError(thrown, 'internal');
      const gone = visit.socket.destroyed;
      if (!gone) fail(error);
      this.#record(visit, { ...refused(error.code), reason: gone ? visit.endOfSocket() : error.code });
      return;
    }
    const { stream, instance, ended } = dialled;
    const result = await splice(visit.socket, stream, ended === null ? {} : { signal: ended });
    if (visit.policy !== null) this.#streams.leave(visit.policy, visit.way);
    const { bytesAToB: bytesIn, bytesBToA: bytesOut } = result;
    const reason = result.end === 'a-reset' ? visit.endOfSocket() : endOfStream(result, instance);
    this.#record(visit, { reason, status: null, instance, bytesIn, bytesOut });
  }

  /** Resets a visitor who may not reach the domain, as late as one that nobody serves is reset; owns the socket. */
  async turnAway(visit: ByteVisit, code: ErrorCode): Promise<void> {
    await this.#gathering.arrive();
    visit.socket.resetAndDestroy();
    this.refused(visit, code);
  }

  /** Records a visitor who was turned away before a dial. */
  refused(visit: ByteVisit, code: ErrorCode): void {
    this.#record(visit, refused(code));
  }

  /**
   * Waits for a place among the domain's streams, kept until {@link DomainStreams.leave}, and opens the stream. A visitor
   * that goes meanwhile (a FIN alone is not going) aborts it; no place is kept then.
   */
  async #dial({ socket, policy, remote, transaction, name, way }: ByteVisit): Promise<Dialled> {
    const gone = new AbortController();
    const { signal } = gone;
    const socketOnClose = () => gone.abort(new BackdialError('visitor-reset'));
    socket.on('close', socketOnClose);
    this.#streams.opening += 1;
    try {
      await this.#gathering.arrive();
      if (policy !== null && !this.#streams.tryEnter(policy, way)) await this.#streams.wait(policy, way, signal);
      try {
        const arrivedAt = () => formatPeer(socket.localAddress, socket.localPort);
        return await this.#dialer.open(name, { way, transaction, client: remote, arrivedAt, signal });
      } catch (error) {
        if (policy !== null) this.#streams.leave(policy, way);
        throw error;
      }
    } finally {
      this.#streams.opening -= 1;
      socket.off('close', socketOnClose);
    }
  }

  #record({ domain, way, remote, start, began, transaction }: ByteVisit, end: VisitEnd): void {
    const { reason, status, instance, bytesIn, bytesOut } = end;
    this.#options.observer({
      type: 'access',
      record: {
        start,
        domain,
        instance,
        id: transaction,
        way,
        method: null,
        path: null,
        status,
        reason,
        in: bytesIn,
        out: bytesOut,
        durationMs: Math.round(performance.now() - began),
        remote,
        ua: null,
        referer: null,
      },
    });
  }
}

/**
 * A backend's connection is one to the target itself. Of a tunnel's stream the tunnel says so where it is lost; what Node says alone
 * is about this one stream, and so about what the agent had joined it to.
 */
function endOfStream({ end, error }: SpliceResult, instance: string | null): StreamEnd {
  if (end === 'done') return 'done';
  return end === 'b-reset' && instance === null ? 'target-lost' : asBackdialError(error, 'target-lost').code;
}

function reset(socket: Socket): void {
  socket.resetAndDestroy();
}

/** The end of a visit that never had a stream. */
function refused(reason: ErrorCode): VisitEnd {
  return { reason, status: ERRORS[reason].status, instance: null, bytesIn: 0, bytesOut: 0 };
}
