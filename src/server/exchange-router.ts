import type { Socket } from 'node:net';
import type { CarrierSource } from '../core/dial.ts';
import { asBackdialError, BackdialError, type ErrorCode } from '../core/errors.ts';
import type { Answer } from '../net/error-answer.ts';
import type { ForwardPlan } from '../net/forward.ts';
import type { RequestHead } from '../net/head-check.ts';
import { fieldValue, fieldValues, removeNamed } from '../net/header-rules.ts';
import { freshWebSocketKey } from '../net/websocket-bridge.ts';
import { errorAnswer, HIDDEN, unavailableAnswer } from './answers.ts';
import type { Certificates } from './certificates.ts';
import type { DomainTable } from './domain-table.ts';
import type { ExchangeForwarder, Forwarded, ForwardOrder } from './exchange-forwarder.ts';
import type { FirstTunnels } from './first-tunnels.ts';
import { type Reached, reach } from './reach.ts';
import { hasLoop, requestHeaders, TARGET_RULES, upgradeHeaders, VISITOR_RULES } from './request-headers.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
import type { JoinEnd, UpgradeJoiner } from './upgrade-joiner.ts';
import { type Arrival, recordVisit, type Visit, type VisitEnd } from './visit.ts';
import type { AccessControl, DomainAccess } from './visitor-access.ts';

/** Codes after which the connection is not to be trusted with another request (design, section 8). */
const CLOSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'connection-limit',
  'request-invalid',
  'headers-too-large',
  'request-timeout',
]);

export interface RouterOptions {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  readonly carriers: CarrierSource;
  readonly access: Pick<AccessControl, 'of'>;
  readonly certificates: (door: string) => Certificates;
  readonly forwarder: ExchangeForwarder;
  readonly joiner: UpgradeJoiner;
  /** Over how long a body must keep its least rate, ms. */
  readonly bodyRateWindowMs: number;
  /** Takes requests of who may use a proxy here; false: the request is one like any other. Default: takes none. */
  readonly proxy?: { takes(arrival: Arrival): Promise<boolean> };
  /** Whether a connection is in a place that is kept for agents: its requests are refused. Default: none is. */
  readonly isSpare?: (raw: Socket) => boolean;
  /** Whom visitors wait for before they get the answer that gives nothing away. Default: nobody. */
  readonly firstTunnels?: Pick<FirstTunnels, 'next'>;
  /** What a visitor reaches under a host name. Default: domains, as terminated TLS does. */
  readonly reach?: (visit: Visit, host: string) => Reached;
  /** The answer that gives nothing away. Default: that of an unknown domain (design 6.5). */
  readonly hidden?: (transaction: string) => Answer;
}

/** Told how a visit ended, once. */
type OnEnd = (end: VisitEnd) => void;

const NOTHING_JOINED: JoinEnd = { error: null, bytesIn: 0, bytesOut: 0 };

/** Decides for every request of HTTPS visitors what becomes of it: forwarded, upgraded, refused, or not known here. */
export class ExchangeRouter {
  readonly #router: RouterOptions;

  constructor(router: RouterOptions) {
    this.#router = router;
  }

  /** Answers a visit and records it. Resolves when the exchange is over; never rejects. */
  serve(arrival: Arrival): Promise<void> {
    const { isSpare, proxy } = this.#router;
    if (isSpare?.(arrival.connection.raw) === true) {
      const visit = this.#recognise(arrival);
      this.#end(visit, this.#refuse(visit, new BackdialError('connection-limit'), null));
      return Promise.resolve();
    }
    if (arrival.proxy !== null && proxy !== undefined) return this.#offer(arrival, proxy);
    return this.#visit(arrival);
  }

  async #offer(arrival: Arrival, proxy: NonNullable<RouterOptions['proxy']>): Promise<void> {
    if (!(await proxy.takes(arrival))) await this.#visit(arrival);
  }

  /** One promise for each request; the rest are calls. */
  #visit(arrival: Arrival): Promise<void> {
    return new Promise((resolve) => {
      const visit = this.#recognise(arrival);
      const onEnd = (end: VisitEnd): void => {
        this.#end(visit, end);
        resolve();
      };
      try {
        this.#route(visit, onEnd);
      } catch (thrown) {
        onEnd(this.#fault(visit, thrown));
      }
    });
  }

  #end(visit: Visit, end: VisitEnd): void {
    recordVisit(this.#router.options.observer, visit, end);
  }

  /** A fault of ours must cost its own request only. */
  #fault(visit: Visit, thrown: unknown): VisitEnd {
    const message = String(thrown instanceof Error ? thrown.stack : thrown);
    this.#router.options.observer({ type: 'warning', code: 'internal', message });
    const error = asBackdialError(thrown, 'internal');
    if (visit.exchange.responded) visit.exchange.abort(error);
    return this.#refuse(visit, error, null);
  }

  /** Answers a refused handshake as a path that nobody serves, and as late; the gate has told the observer why. */
  decline(arrival: Arrival): void {
    const later = this.#later(arrival);
    if (later !== null) {
      void later.then(() => this.decline(arrival));
      return;
    }
    const visit = this.#recognise(arrival);
    const { head } = visit;
    const policy = typeof head === 'string' ? null : reach(this.#router, visit, head.host).policy;
    this.#refuse(visit, new BackdialError('domain-unserved'), policy);
  }

  /** The policy of the request's own host says whose word about the visitor is believed. */
  #recognise(arrival: Arrival): Visit {
    const { head, connection } = arrival;
    const { domains, access } = this.#router;
    const policy = typeof head === 'string' ? null : domains().find(head.host);
    const given = typeof head === 'string' ? '' : head.forwardedFor;
    const { remote, forwardedFor } = access.of(policy).senderOf(connection.remote, given);
    return { ...arrival, remote, forwardedFor };
  }

  #route(visit: Visit, onEnd: OnEnd): void {
    const { head } = visit;
    if (typeof head === 'string') {
      onEnd(this.#refuse(visit, new BackdialError(head), null));
      return;
    }
    const { refusal, policy } = this.#reach(visit, head.host);
    if (refusal !== null) {
      const later = HIDDEN.has(refusal) ? this.#later(visit) : null;
      if (later === null) onEnd(this.#refuse(visit, new BackdialError(refusal, head.host), policy));
      else later.then(() => this.#route(visit, onEnd)).catch((thrown) => onEnd(this.#fault(visit, thrown)));
      return;
    }
    const access = this.#router.access.of(policy);
    if (!access.asksLogin) this.#pass(visit, head, policy, onEnd);
    else this.#logIn(visit, head, policy, access, onEnd).catch((thrown) => onEnd(this.#fault(visit, thrown)));
  }

  /** When to look again whether there is a tunnel; null: not at all. */
  #later({ exchange }: Arrival): Promise<void> | null {
    return exchange.gone === null ? (this.#router.firstTunnels?.next() ?? null) : null;
  }

  #reach(visit: Visit, host: string): Reached {
    return this.#router.reach?.(visit, host) ?? reach(this.#router, visit, host);
  }

  async #logIn(visit: Visit, head: RequestHead, policy: ResolvedDomain, access: DomainAccess, onEnd: OnEnd) {
    const refusal = await access.login(visit.remote, fieldValues(head.headers, 'authorization'));
    if (refusal !== null) {
      onEnd(this.#refuse(visit, refusal.error, policy, refusal.headers));
      return;
    }
    // What opened this door is not for the target to see.
    this.#pass(visit, { ...head, headers: removeNamed(head.headers, ['authorization']) }, policy, onEnd);
  }

  #pass(visit: Visit, head: RequestHead, policy: ResolvedDomain, onEnd: OnEnd): void {
    const refusal = this.#refusalOf(head, policy);
    if (refusal !== null) onEnd(this.#refuse(visit, new BackdialError(refusal), policy));
    else this.#forward(visit, head, policy, onEnd);
  }

  #forward(visit: Visit, head: RequestHead, policy: ResolvedDomain, onEnd: OnEnd): void {
    const { forwarder, joiner } = this.#router;
    const key = visit.exchange.version === '2' && head.upgrade !== null ? freshWebSocketKey() : null;
    const plan = this.#plan(visit, head, policy, key);
    let joined = NOTHING_JOINED;
    forwarder.forward(
      { visit, head, policy, plan },
      {
        onSwitch: async (switched) => {
          const { responseHeaders: headers } = plan;
          joined = await joiner.join({ visit, protocol: head.upgrade ?? '', key, switched, headers });
          return joined.error;
        },
        onEnd: (forwarded) => onEnd(this.#endOf({ visit, head, policy }, forwarded, joined)),
        onFault: (thrown) => onEnd(this.#fault(visit, thrown)),
      },
    );
  }

  /** Answers what was not answered. */
  #endOf(
    { visit, head, policy }: Pick<ForwardOrder, 'visit' | 'head' | 'policy'>,
    { error, unanswered, carrier, result }: Forwarded,
    joined: Omit<JoinEnd, 'error'>,
  ): VisitEnd {
    const canAnswer = unanswered && visit.exchange.gone === null && !visit.exchange.responded && error !== null;
    const refused = canAnswer && joined.bytesOut === 0 ? this.#refuse(visit, error, policy) : null;
    return {
      status: refused?.status ?? result?.status ?? error?.entry.status ?? null,
      reason: error?.code ?? 'done',
      domain: carrier?.domain ?? head.host,
      instance: carrier?.instance ?? null,
      bytesIn: (result?.bytesIn ?? 0) + joined.bytesIn,
      bytesOut: (result?.bytesOut ?? 0) + joined.bytesOut,
    };
  }

  #plan(visit: Visit, head: RequestHead, policy: ResolvedDomain, key: string | null): ForwardPlan {
    const { connection, forwardedFor, remote: visitor, transaction, exchange } = visit;
    const { version } = exchange;
    const { options, bodyRateWindowMs } = this.#router;
    const serverName = options.name;
    const scheme = visit.way === 'https' ? 'https' : 'http';
    const expects = fieldValue(head.headers, 'expect')?.toLowerCase() === '100-continue';
    const origin = { connection, scheme, forwardedFor, visitor, version, transaction, serverName } as const;
    const fields = requestHeaders(head, origin);
    // HTTP/1.0 has no upgrades; and with a body node:http gave the request to the normal path.
    const upgrade = head.upgrade !== null && visit.upgradable;
    const headers = upgrade ? upgradeHeaders(fields, head.upgrade ?? '', key) : fields;
    const method = head.method === 'CONNECT' ? 'GET' : head.method;
    return {
      request: { method, target: head.target, headers, framing: head.framing, upgrade },
      maxBodyBytes: policy.maxBodyBytes,
      bodyRateWindowMs,
      expectsContinue: expects,
      responseHeaders: policy.transaction ? ['X-Transaction-Id', transaction] : [],
      requestRules: VISITOR_RULES,
      responseRules: TARGET_RULES,
    };
  }

  #refusalOf(head: RequestHead, policy: ResolvedDomain): ErrorCode | null {
    const { method, framing } = head;
    const webSocket = method === 'CONNECT' && head.upgrade?.toLowerCase() === 'websocket';
    if (method === 'TRACE' || (method === 'CONNECT' && !webSocket)) return 'method-refused';
    if (hasLoop(head.via, this.#router.options.name)) return 'loop-detected';
    const tooLarge = policy.maxBodyBytes > 0 && typeof framing === 'number' && framing > policy.maxBodyBytes;
    return tooLarge ? 'body-too-large' : null;
  }

  /** Answers, if the visitor is still there to be answered. */
  #refuse(visit: Visit, error: BackdialError, policy: ResolvedDomain | null, more: readonly string[] = []): VisitEnd {
    const { exchange, head } = visit;
    const { status, headers, body } = this.#answerTo(visit, error, policy);
    if (exchange.gone === null && !exchange.responded) {
      const hasBody = typeof head === 'string' || (head.framing !== 'none' && head.framing !== 0);
      const close = CLOSING.has(error.code) || hasBody;
      headers.push(...more);
      exchange.answer(status, headers, body, close);
    }
    const domain = typeof head === 'string' ? null : head.host;
    // The true one, also where another one is told.
    const told = this.#router.hidden === undefined ? error.entry.status : status;
    return { status: told, reason: error.code, domain, instance: null, bytesIn: 0, bytesOut: 0 };
  }

  #answerTo({ transaction }: Visit, error: BackdialError, policy: ResolvedDomain | null): Answer {
    const { options } = this.#router;
    if (HIDDEN.has(error.code)) {
      if (this.#router.hidden !== undefined) return this.#router.hidden(transaction);
      const status = policy?.unavailableStatus ?? options.unavailableStatus;
      return unavailableAnswer(status, options.transaction ? transaction : null);
    }
    const told = (policy?.transaction ?? options.transaction) ? transaction : null;
    return errorAnswer(error, { serverName: options.name, transaction: told });
  }
}
