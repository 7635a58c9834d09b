import { randomBytes } from 'node:crypto';
import type { DomainState, LiveTunnel } from '../index.ts';
import type { TrafficTotals } from '../metrics/traffic.ts';
import type { ProgramSummary } from './program-summary.ts';
import type { RefusalList } from './refusal-list.ts';

/** A domain as the page shows it; rounded, so that it changes only when something did. */
export interface FeedRow {
  readonly name: string;
  readonly instances: readonly string[];
  readonly tunnels: number;
  readonly active: number;
  /** Mean of its tunnels. */
  readonly rttMs: number | null;
  /** A second, as all that follow. */
  readonly requests: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface FeedSource {
  summary(): ProgramSummary;
  domains(): readonly DomainState[];
  tunnels(): readonly LiveTunnel[];
  traffic(): ReadonlyMap<string, TrafficTotals>;
  domainOf(name: string): string | null;
  readonly refusals: RefusalList;
}

type Rates = TrafficTotals;

/** Several pages share one look at the server; no more often than this, ms. */
const LOOK_INTERVAL_MS = 900;
const NO_RATES: Rates = { requests: 0, failures: 0, receivedBytes: 0, sentBytes: 0 };
/** Instances of a domain that are named; there may be hundreds. */
const MAX_INSTANCES = 5;

/** What the status page is told: all of it once, then what changed. */
export class StatusFeed {
  readonly #source: FeedSource;
  /** A cursor of another process, or of another life of this one, means nothing here. */
  readonly #epoch = randomBytes(4).toString('hex');
  readonly #rows = new Map<string, { readonly text: string; readonly row: FeedRow; readonly version: number }>();
  /** Domains that went, with the version in which they did. */
  readonly #gone = new Map<string, number>();
  #version = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #totals: ReadonlyMap<string, TrafficTotals> = new Map();
  #sum: Rates = NO_RATES;

  constructor(source: FeedSource) {
    this.#source = source;
  }

  /** What changed since a cursor; everything where it is unknown. */
  changes(cursor: string): object {
    this.#look();
    const [epoch, version, refusal] = cursor.split('.');
    const full = epoch !== this.#epoch;
    const [since, lastRefusal] = full ? [-1, 0] : [Number(version), Number(refusal)];
    const { refusals } = this.#source;
    return {
      cursor: `${this.#epoch}.${this.#version}.${refusals.lastId}`,
      full,
      summary: { ...this.#source.summary(), rates: this.#sum },
      domains: Array.from(this.#rows.values()).flatMap((each) => (each.version > since ? [each.row] : [])),
      gone: full ? [] : Array.from(this.#gone).flatMap(([name, at]) => (at > since ? [name] : [])),
      refusals: refusals.since(lastRefusal),
    };
  }

  #look(): void {
    const now = performance.now();
    const seconds = (now - this.#lookedAt) / 1_000;
    if (seconds * 1_000 < LOOK_INTERVAL_MS) return;
    this.#lookedAt = now;
    this.#version += 1;
    const { domains, traffic } = this.#source;
    const roundTrips = this.#roundTrips();
    const totals = new Map(traffic());
    const before = this.#totals;
    let sum = NO_RATES;
    for (const [name, total] of totals) sum = added(sum, rates(total, before.get(name), seconds));
    this.#sum = rounded(sum);
    const names = new Set<string>();
    for (const { name, instances, active } of domains()) {
      names.add(name);
      const { requests, receivedBytes, sentBytes } = rounded(rates(totals.get(name), before.get(name), seconds));
      const row: FeedRow = {
        name,
        instances: instances.slice(0, MAX_INSTANCES).map((each) => each.name),
        tunnels: instances.reduce((all, each) => all + each.tunnels, 0),
        active: Object.values(active).reduce((all, each) => all + each, 0),
        rttMs: roundTrips.get(name) ?? null,
        requests,
        receivedBytes,
        sentBytes,
      };
      const text = JSON.stringify(row);
      if (this.#rows.get(name)?.text === text) continue;
      this.#rows.set(name, { text, row, version: this.#version });
      this.#gone.delete(name);
    }
    for (const name of this.#rows.keys()) {
      if (names.has(name)) continue;
      this.#rows.delete(name);
      this.#gone.set(name, this.#version);
    }
    this.#totals = totals;
  }

  #roundTrips(): Map<string, number> {
    const sums = new Map<string, { sum: number; count: number }>();
    for (const tunnel of this.#source.tunnels()) {
      const name = this.#source.domainOf(tunnel.domain);
      const { rttMs } = tunnel.stats();
      if (name === null || rttMs === null) continue;
      const { sum, count } = sums.get(name) ?? { sum: 0, count: 0 };
      sums.set(name, { sum: sum + rttMs, count: count + 1 });
    }
    return new Map(Array.from(sums, ([name, { sum, count }]) => [name, twoDigits(sum / count)]));
  }
}

function rates(now: TrafficTotals | undefined, before: TrafficTotals | undefined, seconds: number): Rates {
  // The first look has nothing to compare with.
  if (now === undefined || !Number.isFinite(seconds)) return NO_RATES;
  const from = before ?? NO_RATES;
  const rate = (key: keyof Rates) => Math.max(0, now[key] - from[key]) / seconds;
  return {
    requests: rate('requests'),
    failures: rate('failures'),
    receivedBytes: rate('receivedBytes'),
    sentBytes: rate('sentBytes'),
  };
}

function added(a: Rates, b: Rates): Rates {
  return {
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    sentBytes: a.sentBytes + b.sentBytes,
  };
}

function rounded({ requests, failures, receivedBytes, sentBytes }: Rates): Rates {
  return {
    requests: twoDigits(requests),
    failures: twoDigits(failures),
    receivedBytes: twoDigits(receivedBytes),
    sentBytes: twoDigits(sentBytes),
  };
}

function twoDigits(value: number): number {
  return Number(value.toPrecision(2));
}
