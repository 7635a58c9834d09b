import { randomUUID, type X509Certificate } from 'node:crypto';
import type { ErrorCode } from '../core/errors.ts';
import type { Observer, StreamEnd, Way } from '../core/events.ts';
import type { Exchange } from '../net/exchange.ts';
import type { RequestHead } from '../net/head-check.ts';
import type { ProxyRequest } from '../net/proxy-head.ts';
import type { RequestSender } from './believed-visitor.ts';
import type { VisitorConnection } from './visitor.ts';

/** One request of a visitor as it arrives. */
export interface Arrival {
  readonly exchange: Exchange;
  readonly connection: VisitorConnection;
  /** As sent, also where the head is refused. */
  readonly method: string;
  readonly path: string;
  /** The checked head, or the rule that it broke. */
  readonly head: RequestHead | ErrorCode;
  /** UUID; in X-Transaction-Id and in the logs of both sides. */
  readonly transaction: string;
  /** Epoch ms. */
  readonly start: number;
  /** The same moment as `performance.now()`: whoever sets the clock changes no duration. */
  readonly began: number;
  /** The visitor's connection (or HTTP/2 stream) can become another protocol's. */
  readonly upgradable: boolean;
  /** Where the request can be meant for a proxy: what it asks of one. */
  readonly proxy: ProxyRequest | null;
  /** The certificates of the connection; nothing of them is believed yet. Default: there are none. */
  readonly chain?: () => readonly X509Certificate[];
  readonly way: Extract<Way, 'https' | 'proxy' | 'connect'>;
}

/** The request of a visitor who was recognised, until its one record in the access log. */
export interface Visit extends Arrival, RequestSender {}

/** What only the end of a visit knows. */
export interface VisitEnd {
  /** The true status: what stealth hid, or what was to be said; null where nothing was. */
  readonly status: number | null;
  readonly reason: StreamEnd;
  readonly domain: string | null;
  readonly instance: string | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Tells the observer. To be called once for each visit. */
export function recordVisit(observer: Observer, visit: Visit, end: VisitEnd): void {
  const head = typeof visit.head === 'string' ? null : visit.head;
  observer({
    type: 'access',
    record: {
      start: visit.start,
      domain: end.domain,
      instance: end.instance,
      id: visit.transaction,
      way: visit.way,
      method: visit.method,
      path: visit.path,
      status: end.status,
      reason: end.reason,
      in: end.bytesIn,
      out: end.bytesOut,
      durationMs: Math.round((performance.now() - visit.began) * 10) / 10,
      remote: visit.remote,
      ua: head?.userAgent ?? null,
      referer: head?.referer ?? null,
    },
  });
}

/** Tells the observer of bytes that were no request; `status`: what was answered, null where nothing was. */
export function recordUnread(
  observer: Observer,
  connection: VisitorConnection,
  { reason, status }: Pick<VisitEnd, 'reason' | 'status'>,
): void {
  observer({
    type: 'access',
    record: {
      start: Date.now(),
      domain: null,
      instance: null,
      id: randomUUID(),
      way: 'https',
      method: null,
      path: null,
      status,
      reason,
      in: 0,
      out: 0,
      durationMs: 0,
      remote: connection.remote,
      ua: null,
      referer: null,
    },
  });
}
