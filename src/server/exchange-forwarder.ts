import { setTimeout as sleep } from 'node:timers/promises';
import type { Carrier, CarrierSource } from '../core/dial.ts';
import { asBackdialError, type BackdialError } from '../core/errors.ts';
import { type ForwardPlan, type ForwardResult, forward, isIdempotent, type Switched } from '../net/forward.ts';
import type { RequestHead } from '../net/head-check.ts';
import type { Upstream } from '../net/upstream.ts';
import { VisitorWatch } from '../net/visitor-watch.ts';
import type { DomainStreams } from './domain-streams.ts';
import type { ResolvedDomain } from './resolve-options.ts';
import { MAX_WAIT_MS } from './stream-gate.ts';
import type { UpstreamPools } from './upstream-pools.ts';
import type { Visit } from './visit.ts';

/**
 * A request that may not be sent twice gets a stream that was in use this recently, or a new one: the older a free stream,
 * the likelier that its target is just closing it.
 */
const FRESH_MS = 1_000;
/** How often a full tunnel is looked at again: other ways in fill and leave it too, and tell nobody. */
const ROOM_POLL_MS = 50;

export interface ForwarderOptions {
  readonly carriers: Pick<CarrierSource, 'pick'>;
  readonly pools: Pick<UpstreamPools, 'take' | 'open' | 'openAlone' | 'carrierWithFree'>;
  readonly streams: DomainStreams;
  /** How long room in a full tunnel is waited for, ms. Default {@link MAX_WAIT_MS}. */
  readonly maxWaitMs?: number;
}

/** What is to be forwarded. */
export interface ForwardOrder {
  readonly visit: Visit;
  readonly head: RequestHead;
  readonly policy: ResolvedDomain;
  readonly plan: ForwardPlan;
}

/** How forwarding ended. With an error and `unanswered` the caller answers. */
export interface Forwarded {
  readonly error: BackdialError | null;
  readonly unanswered: boolean;
  readonly carrier: Carrier | null;
  /** Null when no stream was opened. */
  readonly result: ForwardResult | null;
}

/** Whose exchange it is. Either `onEnd` or `onFault` is told, once; it may be told before `forward` returns. */
export interface ForwardOwner {
  /** Joins what an upgrade left; the domain's place is kept until it is over. */
  onSwitch(switched: Switched): Promise<BackdialError | null>;
  onEnd(forwarded: Forwarded): void;
  /** A fault of ours. */
  onFault(thrown: unknown): void;
}

/** Takes a request to a target and the response back: a place, a tunnel, a stream, one retry where that is safe. */
export class ExchangeForwarder {
  readonly #forwarder: ForwarderOptions;

  constructor(forwarder: ForwarderOptions) {
    this.#forwarder = forwarder;
  }

  forward(order: ForwardOrder, owner: ForwardOwner): void {
    new Forwarding(this.#forwarder, order, owner).start();
  }
}

/**
 * One order. Where there is a place, a carrier and a free stream at once, as there mostly is, the request is sent in the turn
 * in which it came; only what has to wait costs promises.
 */
class Forwarding {
  readonly #forwarder: ForwarderOptions;
  readonly #order: ForwardOrder;
  readonly #owner: ForwardOwner;
  #watch: VisitorWatch | null = null;
  /** Those that failed. */
  #tried: Set<Carrier> | null = null;
  #hasPlace = false;
  #over = false;

  constructor(forwarder: ForwarderOptions, order: ForwardOrder, owner: ForwardOwner) {
    this.#forwarder = forwarder;
    this.#order = order;
    this.#owner = owner;
  }

  start(): void {
    const { visit, policy } = this.#order;
    const { gone } = visit.exchange;
    if (gone !== null) {
      this.#end(unsent(gone, null));
      return;
    }
    try {
      this.#hasPlace = this.#forwarder.streams.tryEnter(policy, visit.way);
      if (this.#hasPlace) this.#choose();
      else this.#wait(this.#waitForPlace());
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #waitForPlace(): Promise<void> {
    const { visit, policy } = this.#order;
    try {
      await this.#forwarder.streams.wait(policy, visit.way, this.#hold());
    } catch (thrown) {
      this.#end(this.#unopened(thrown, null));
      return;
    }
    this.#hasPlace = true;
    this.#choose();
  }

  #choose(): void {
    let carrier: Carrier;
    try {
      carrier = this.#forwarder.carriers.pick(this.#order.head.host);
    } catch (thrown) {
      this.#wait(this.#waitForRoom(asBackdialError(thrown, 'internal')));
      return;
    }
    this.#attempt(carrier, false);
  }

  /** In full tunnels a free stream is as good as room; else room is waited for. `met`: what the last choice failed with. */
  async #waitForRoom(met: BackdialError): Promise<void> {
    const { visit, head, policy } = this.#order;
    const { carriers, pools, maxWaitMs = MAX_WAIT_MS } = this.#forwarder;
    let carrier: Carrier | null = null;
    try {
      for (let [error, waitedMs] = [met, 0]; carrier === null; waitedMs += ROOM_POLL_MS) {
        if (error.code !== 'stream-limit') throw error;
        carrier = pools.carrierWithFree([head.host, policy.name], visit);
        if (carrier !== null) break;
        if (waitedMs >= maxWaitMs) throw error;
        await sleep(ROOM_POLL_MS, undefined, { signal: this.#hold() });
        try {
          carrier = carriers.pick(head.host);
        } catch (thrown) {
          error = asBackdialError(thrown, 'internal');
        }
      }
    } catch (thrown) {
      this.#end(this.#unopened(thrown, null));
      return;
    }
    this.#attempt(carrier, false);
  }

  #attempt(carrier: Carrier, isRetry: boolean): void {
    const upstream = this.#free(carrier, isRetry);
    if (upstream === null) this.#wait(this.#waitForStream(carrier, isRetry));
    else this.#send(upstream, carrier, isRetry);
  }

  async #waitForStream(carrier: Carrier, isRetry: boolean): Promise<void> {
    let upstream: Upstream;
    try {
      upstream = await this.#open(carrier);
    } catch (thrown) {
      this.#attempted(this.#unopened(thrown, carrier), carrier, isRetry);
      return;
    }
    this.#send(upstream, carrier, isRetry);
  }

  #send(upstream: Upstream, carrier: Carrier, isRetry: boolean): void {
    const { visit, plan } = this.#order;
    forward(visit.exchange, upstream, plan, carrier.timeouts, (result) => {
      const { error, unanswered, switched } = result;
      const done = { error, unanswered, carrier, result };
      if (error === null && switched === null) this.#end(done);
      // Not inside whatever callback it failed in.
      else this.#wait(Promise.resolve().then(() => this.#attempted(done, carrier, isRetry)));
    });
  }

  #attempted(done: Forwarded, carrier: Carrier, isRetry: boolean): void {
    const { switched = null } = done.result ?? {};
    if (switched !== null) {
      this.#wait(this.#owner.onSwitch(switched).then((error) => this.#end({ ...done, error })));
      return;
    }
    // A tunnel that is leaving took nothing, and the next one may be leaving, too: to go on to another is no second try.
    const isLeaving = done.result === null && done.error?.code === 'tunnel-draining';
    const mayGoOn = (isLeaving || !isRetry) && isRepeatable(this.#order, done);
    const other = mayGoOn ? this.#another(done, carrier) : null;
    if (other === null) this.#end(done);
    else this.#attempt(other, isRetry || !isLeaving);
  }

  #free(carrier: Carrier, isRetry: boolean): Upstream | null {
    const { visit, plan } = this.#order;
    const { request } = plan;
    if (isRetry || request.upgrade) return null;
    const repeatable = isIdempotent(request.method) && isBodyless(plan);
    return this.#forwarder.pools.take(carrier, visit, repeatable ? undefined : FRESH_MS);
  }

  #open(carrier: Carrier): Promise<Upstream> {
    const { visit, head, plan } = this.#order;
    const { pools } = this.#forwarder;
    const { transaction } = visit;
    const wish = { carrier, visitor: visit, authority: head.authority, transaction, signal: this.#hold() };
    return plan.request.upgrade ? pools.openAlone(wish) : pools.open(wish);
  }

  /** Another carrier; the same one again where only the stream was at fault. Null: there is nothing to try. */
  #another(first: Forwarded, carrier: Carrier): Carrier | null {
    this.#tried ??= new Set();
    this.#tried.add(carrier);
    try {
      return this.#forwarder.carriers.pick(this.#order.head.host, this.#tried);
    } catch {
      return first.result !== null && carrier.usable ? carrier : null;
    }
  }

  /** Aborted when waiting makes no sense any more. */
  #hold(): AbortSignal {
    this.#watch ??= new VisitorWatch(this.#order.visit.exchange);
    return this.#watch.hold();
  }

  #unopened(thrown: unknown, carrier: Carrier | null): Forwarded {
    return unsent(this.#watch?.error ?? asBackdialError(thrown, 'internal'), carrier);
  }

  #wait(waiting: Promise<void>): void {
    waiting.catch((thrown: unknown) => this.#fail(thrown));
  }

  #end(done: Forwarded): void {
    if (this.#leave()) this.#owner.onEnd(done);
  }

  #fail(thrown: unknown): void {
    if (this.#leave()) this.#owner.onFault(thrown);
  }

  /** Gives the place back, if there was one. False: it is over already. */
  #leave(): boolean {
    if (this.#over) return false;
    this.#over = true;
    const { visit, policy } = this.#order;
    if (this.#hasPlace) this.#forwarder.streams.leave(policy, visit.way);
    return true;
  }
}

/** Features 2.8: nothing was sent, or sending it again does no harm and nothing of the response came. */
function isRepeatable({ visit, plan }: ForwardOrder, { error, unanswered, result }: Forwarded): boolean {
  if (error === null || !error.entry.retryable || !unanswered || visit.exchange.gone !== null) return false;
  return result === null || (!result.heard && isIdempotent(plan.request.method) && isBodyless(plan));
}

function isBodyless({ request }: ForwardPlan): boolean {
  return request.framing === 'none' || request.framing === 0;
}

function unsent(error: BackdialError, carrier: Carrier | null): Forwarded {
  return { error, unanswered: true, carrier, result: null };
}
