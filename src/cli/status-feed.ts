import { randomBytes } from 'node:crypto';
import type { DomainState, LiveTunnel } from '../index.ts';
import type { TrafficTotals } from '../metrics/traffic.ts';
import type { ProgramSummary } from './program-summary.ts';
import type { RefusalList } from './refusal-list.ts';

/** A domain as the page shows it; rounded, so that it changes only when something did. */
export interface FeedRow {
  readonly name: string;
  /** Its file does not say `active: true`. */
  readonly isInactive: boolean;
  readonly instances: readonly string[];
  /** Whether a `target` beside the server serves it where no instance does. */
  readonly hasTarget: boolean;
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
  /** Names of domains that are not active. */
  inactive(): readonly string[];
  tunnels(): readonly LiveTunnel[];
  /** As it is now; a later call gives another map. */
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
/** Domains that went and are remembered; a page that saw none of them go is told everything anew. */
const MAX_GONE = 1_000;

/** What the status page is told: all of it once, then what changed. */
export class StatusFeed {
  readonly #source: FeedSource;
  /** A cursor of another process, or of another life of this one, means nothing here. */
  readonly #epoch = randomBytes(4).toString('hex');
  readonly #rows = new Map<string, { readonly row: FeedRow; readonly version: number }>();
  /** Domains that went, with the version in which they did, the longest gone first. */
  readonly #gone = new Map<string, number>();
  /** The version in which the last domain went that is not remembered. */
  #forgotten = 0;
  #version = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #totals: ReadonlyMap<string, TrafficTotals> = new Map();
  #sum: Rates = NO_RATES;

  constructor(source: FeedSource) {
    this.#source = source;
  }

  /** What changed since a cursor; everything where it is unknown, or too old. */
  changes(cursor: string): object {
    this.#look();
    const [epoch, version, refusal] = cursor.split('.');
    const [since, lastRefusal] = [Number(version), Number(refusal)];
    const full = epoch !== this.#epoch || !(since >= this.#forgotten && lastRefusal >= 0);
    const { refusals } = this.#source;
    return {
      cursor: `${this.#epoch}.${this.#version}.${refusals.lastId}`,
      full,
      summary: { ...this.#source.summary(), rates: this.#sum },
      domains: Array.from(this.#rows.values()).flatMap((each) => (full || each.version > since ? [each.row] : [])),
      gone: full ? [] : Array.from(this.#gone).flatMap(([name, at]) => (at > since ? [name] : [])),
      refusals: refusals.since(full ? 0 : lastRefusal),
    };
  }

  /** It holds up the whole server, and there may be 10,000 domains: about a microsecond for each. */
  #look(): void {
    const now = performance.now();
    const seconds = (now - this.#lookedAt) / 1_000;
    if (seconds * 1_000 < LOOK_INTERVAL_MS) return;
    this.#lookedAt = now;
    this.#version += 1;
    const { domains, inactive, traffic } = this.#source;
    const roundTrips = this.#roundTrips();
    const totals = traffic();
    const before = this.#totals;
    let sum = NO_RATES;
    for (const [name, total] of totals) sum = added(sum, rates(total, before.get(name), seconds));
    this.#sum = rounded(sum);
    const names = new Set<string>();
    for (const state of domains()) {
      const { name } = state;
      names.add(name);
      this.#keep(rowOf(state, roundTrips.get(name) ?? null, rates(totals.get(name), before.get(name), seconds)));
    }
    for (const name of inactive()) {
      names.add(name);
      if (this.#rows.get(name)?.row.isInactive !== true) this.#keep(inactiveRow(name));
    }
    for (const name of this.#rows.keys()) if (!names.has(name)) this.#drop(name);
    this.#totals = totals;
  }

  #keep(row: FeedRow): void {
    const told = this.#rows.get(row.name)?.row;
    if (told !== undefined && isSame(told, row)) return;
    this.#rows.set(row.name, { row, version: this.#version });
    this.#gone.delete(row.name);
  }

  #drop(name: string): void {
    this.#rows.delete(name);
    this.#gone.set(name, this.#version);
    if (this.#gone.size <= MAX_GONE) return;
    const [[longest, version] = ['', 0]] = this.#gone;
    this.#gone.delete(longest);
    this.#forgotten = version;
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

function rowOf({ name, instances, hasTarget, active }: DomainState, rttMs: number | null, traffic: Rates): FeedRow {
  const { requests, receivedBytes, sentBytes } = rounded(traffic);
  let [tunnels, underWay] = [0, 0];
  for (const each of instances) tunnels += each.tunnels;
  for (const count of Object.values(active)) underWay += count;
  const named = instances.slice(0, MAX_INSTANCES).map((each) => each.name);
  return {
    name,
    isInactive: false,
    instances: named,
    hasTarget,
    tunnels,
    active: underWay,
    rttMs,
    requests,
    receivedBytes,
    sentBytes,
  };
}

function inactiveRow(name: string): FeedRow {
  const idle = { instances: [], hasTarget: false, tunnels: 0, active: 0, rttMs: null };
  return { name, isInactive: true, ...idle, requests: 0, receivedBytes: 0, sentBytes: 0 };
}

function isSame(a: FeedRow, b: FeedRow): boolean {
  return (
    a.isInactive === b.isInactive &&
    a.hasTarget === b.hasTarget &&
    a.tunnels === b.tunnels &&
    a.active === b.active &&
    a.rttMs === b.rttMs &&
    a.requests === b.requests &&
    a.receivedBytes === b.receivedBytes &&
    a.sentBytes === b.sentBytes &&
    a.instances.length === b.instances.length &&
    a.instances.every((name, index) => name === b.instances[index])
  );
}

function rates(now: TrafficTotals | undefined, before: TrafficTotals | undefined, seconds: number): Rates {
  // The first look has nothing to compare with.
  if (now === undefined || !Number.isFinite(seconds)) return NO_RATES;
  const from = before ?? NO_RATES;
  const { requests, failures, receivedBytes, sentBytes } = from;
  // Of most domains nothing came since the last look.
  if (
    now.requests === requests &&
    now.failures === failures &&
    now.receivedBytes === receivedBytes &&
    now.sentBytes === sentBytes
  )
    return NO_RATES;
  const rate = (key: keyof Rates) => Math.max(0, now[key] - from[key]) / seconds;
  return {
    requests: rate('requests'),
    failures: rate('failures'),
    receivedBytes: rate('receivedBytes'),
    sentBytes: rate('sentBytes'),
  };
}

function added(a: Rates, b: Rates): Rates {
  if (b === NO_RATES) return a;
  return {
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    sentBytes: a.sentBytes + b.sentBytes,
  };
}

function rounded(all: Rates): Rates {
  if (all === NO_RATES) return all;
  const { requests, failures, receivedBytes, sentBytes } = all;
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
