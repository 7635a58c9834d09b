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

/** Takes a request to a target and the response back: a place, a tunnel, a stream, one retry where that is safe. */
export class ExchangeForwarder {
  readonly #forwarder: ForwarderOptions;

  constructor(forwarder: ForwarderOptions) {
    this.#forwarder = forwarder;
  }

  /** Runs the order; `onSwitch` joins what an upgrade left, and keeps the domain's place until it is over. */
  async forward(
    order: ForwardOrder,
    onSwitch: (switched: Switched) => Promise<BackdialError | null>,
  ): Promise<Forwarded> {
    const { visit, policy } = order;
    const { streams } = this.#forwarder;
    const watch = new VisitorWatch(visit.exchange);
    if (watch.error !== null) return unsent(watch.error, null);
    try {
      if (!streams.tryEnter(policy, visit.way)) await streams.wait(policy, visit.way, watch.hold());
    } catch (thrown) {
      return unsent(watch.error ?? asBackdialError(thrown, 'internal'), null);
    }
    try {
      const done = await this.#attempts(order, watch);
      if (done.result?.switched == null) return done;
      return { ...done, error: await onSwitch(done.result.switched) };
    } finally {
      streams.leave(policy, visit.way);
    }
  }

  async #attempts(order: ForwardOrder, watch: VisitorWatch): Promise<Forwarded> {
    let carrier: Carrier;
    try {
      carrier = await this.#pick(order, watch);
    } catch (thrown) {
      return unsent(watch.error ?? asBackdialError(thrown, 'internal'), null);
    }
    const first = await this.#attempt(order, carrier, watch, false);
    if (first.error === null || !isRepeatable(order, first)) return first;
    const other = this.#another(order, first, carrier);
    return other === null ? first : this.#attempt(order, other, watch, true);
  }

  /** The next carrier. In full tunnels a free stream is as good as room; else room is waited for. */
  async #pick({ visit, head, policy }: ForwardOrder, watch: VisitorWatch): Promise<Carrier> {
    const { carriers, pools, maxWaitMs = MAX_WAIT_MS } = this.#forwarder;
    for (let waitedMs = 0; ; waitedMs += ROOM_POLL_MS) {
      try {
        return carriers.pick(head.host);
      } catch (thrown) {
        const error = asBackdialError(thrown, 'internal');
        if (error.code !== 'stream-limit') throw error;
        const carrier = pools.carrierWithFree([head.host, policy.name], visit);
        if (carrier !== null) return carrier;
        if (waitedMs >= maxWaitMs) throw error;
      }
      await sleep(ROOM_POLL_MS, undefined, { signal: watch.hold() });
    }
  }

  async #attempt(order: ForwardOrder, carrier: Carrier, watch: VisitorWatch, fresh: boolean): Promise<Forwarded> {
    const { visit, plan } = order;
    let upstream: Upstream;
    try {
      upstream = this.#free(order, carrier, fresh) ?? (await this.#open(order, carrier, watch));
    } catch (thrown) {
      return unsent(watch.error ?? asBackdialError(thrown, 'internal'), carrier);
    }
    const { readMs, writeMs } = carrier.timeouts;
    const result = await forward(visit.exchange, upstream, plan, { readMs, writeMs });
    return { error: result.error, unanswered: result.unanswered, carrier, result };
  }

  #free({ visit, plan }: ForwardOrder, carrier: Carrier, fresh: boolean): Upstream | null {
    const { request } = plan;
    if (fresh || request.upgrade) return null;
    const repeatable = isIdempotent(request.method) && isBodyless(plan);
    return this.#forwarder.pools.take(carrier, visit, repeatable ? undefined : FRESH_MS);
  }

  #open({ visit, head, plan }: ForwardOrder, carrier: Carrier, watch: VisitorWatch): Promise<Upstream> {
    const { pools } = this.#forwarder;
    const { transaction } = visit;
    const wish = { carrier, visitor: visit, authority: head.authority, transaction, signal: watch.hold() };
    return plan.request.upgrade ? pools.openAlone(wish) : pools.open(wish);
  }

  /** Another carrier; the same one again where only the stream was at fault. Null: there is nothing to try. */
  #another({ head }: ForwardOrder, first: Forwarded, carrier: Carrier): Carrier | null {
    try {
      return this.#forwarder.carriers.pick(head.host, new Set([carrier]));
    } catch {
      return first.result !== null && carrier.usable ? carrier : null;
    }
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
