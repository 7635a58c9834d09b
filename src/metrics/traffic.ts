import { Counter, Histogram, type Registry } from 'prom-client';
import { isErrorCode } from '../core/errors.ts';
import type { AccessRecord, BackdialEvent } from '../core/events.ts';

/** What one domain did. Counted in plain numbers: prom-client is given them when it is asked. */
interface Figures {
  /** Requests, by status. */
  readonly requests: Map<number, number>;
  /** Requests and byte streams, by how they ended. */
  readonly ends: Map<string, number>;
  receivedBytes: number;
  sentBytes: number;
  readonly requestSeconds: Histogram.Internal<string> | null;
  readonly dialSeconds: Histogram.Internal<string> | null;
}

/** What one domain did since it was measured. */
export interface TrafficTotals {
  readonly requests: number;
  /** Of the requests and byte streams: those that did not end as `done`. */
  readonly failures: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface TrafficOptions {
  readonly registry: Registry;
  /** `server` or `agent`: only a server measures latencies. */
  readonly side: 'server' | 'agent';
  /**
   * The configured domain that a name belongs to, null for none. Only these are labels: what strangers ask for, and the names
   * that are claimed under a wildcard, make no series.
   */
  domainOf(name: string): string | null;
}

/** The label of what belongs to no configured domain; no domain can be called that. */
export const NO_DOMAIN = '-';

const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts requests and byte streams by domain, from what the observer is told. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #byDomain = new Map<string, Figures>();
  readonly #requests: Counter;
  readonly #ends: Counter;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #logins: Counter;
  readonly #latency: Histogram | null;

  constructor(options: TrafficOptions) {
    this.#options = options;
    const registers = [options.registry];
    const counter = (name: string, help: string, labelNames: string[]) =>
      new Counter({ name, help, labelNames, registers });
    this.#requests = counter('backdial_proxy_requests_total', 'HTTP requests, by the true status.', ['domain', 'code']);
    this.#ends = counter(
      'backdial_stream_ends_total',
      'Requests and byte streams that ended, by reason: done, or the code of what cut or refused them.',
      ['domain', 'reason'],
    );
    this.#received = counter('backdial_visitor_received_bytes_total', 'Bytes from visitors: bodies and byte streams.', [
      'domain',
    ]);
    this.#sent = counter('backdial_visitor_sent_bytes_total', 'Bytes to visitors: bodies and byte streams.', [
      'domain',
    ]);
    this.#logins = counter('backdial_login_failures_total', 'Logins of visitors that were refused, by reason.', [
      'reason',
    ]);
    this.#latency =
      options.side === 'agent'
        ? null
        : new Histogram({
            name: 'backdial_server_connection_latency_seconds',
            help: 'op="dial": from opening a stream in a tunnel to the answer of the agent. op="request": whole HTTP requests.',
            labelNames: ['domain', 'op'],
            buckets: LATENCY_BUCKETS,
            registers,
          });
  }

  /** To be called with every event. */
  observe(event: BackdialEvent): void {
    if (event.type === 'access') this.#count(event.record);
    else if (event.type === 'dialled' && event.error === null) {
      this.#figuresOf(event.tunnel.domain).dialSeconds?.observe(event.durationMs / 1_000);
    }
  }

  #count({ domain, method, status, reason, in: received, out: sent, durationMs }: AccessRecord): void {
    const figures = this.#figuresOf(domain);
    if (method !== null && status !== null) {
      increment(figures.requests, status);
      figures.requestSeconds?.observe(durationMs / 1_000);
    }
    increment(figures.ends, reason);
    figures.receivedBytes += received;
    figures.sentBytes += sent;
    if (reason === 'credentials-wrong' || reason === 'credentials-limit') this.#logins.inc({ reason });
  }

  #figuresOf(name: string | null): Figures {
    const domain = (name === null ? null : this.#options.domainOf(name)) ?? NO_DOMAIN;
    const known = this.#byDomain.get(domain);
    if (known !== undefined) return known;
    const figures: Figures = {
      requests: new Map(),
      ends: new Map(),
      receivedBytes: 0,
      sentBytes: 0,
      // Bound once: finding a series by its labels costs more than the request's other figures together.
      requestSeconds: this.#latency?.labels(domain, 'request') ?? null,
      dialSeconds: this.#latency?.labels(domain, 'dial') ?? null,
    };
    this.#byDomain.set(domain, figures);
    return figures;
  }

  /** By configured domain, and {@link NO_DOMAIN}. */
  totals(): Map<string, TrafficTotals> {
    return new Map(
      Array.from(this.#byDomain, ([domain, { requests, ends, receivedBytes, sentBytes }]) => {
        const failures = sum(ends) - (ends.get('done') ?? 0);
        return [domain, { requests: sum(requests), failures, receivedBytes, sentBytes }];
      }),
    );
  }

  /** Hands the numbers on; domains that are configured no more are forgotten. */
  refresh(): void {
    for (const metric of [this.#requests, this.#ends, this.#received, this.#sent]) metric.reset();
    for (const [domain, figures] of this.#byDomain) {
      if (domain !== NO_DOMAIN && this.#options.domainOf(domain) !== domain) {
        this.#forget(domain);
        continue;
      }
      for (const [code, requests] of figures.requests) this.#requests.inc({ domain, code: String(code) }, requests);
      for (const [reason, ends] of figures.ends) {
        if (reason === 'done' || isErrorCode(reason)) this.#ends.inc({ domain, reason }, ends);
      }
      this.#received.inc({ domain }, figures.receivedBytes);
      this.#sent.inc({ domain }, figures.sentBytes);
    }
  }

  #forget(domain: string): void {
    this.#byDomain.delete(domain);
    for (const op of ['request', 'dial']) this.#latency?.remove(domain, op);
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function sum(counts: ReadonlyMap<unknown, number>): number {
  let all = 0;
  for (const each of counts.values()) all += each;
  return all;
}
