import type { IncomingMessage } from 'node:http';
import { peerAddress } from '../core/address.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ForwardPlan } from '../net/forward.ts';
import { forwardedHop } from '../net/forwarded-hop.ts';
import { checkHttp1Head, type RequestHead } from '../net/head-check.ts';
import { fieldValue, HeaderRules } from '../net/header-rules.ts';

/**
 * What passes between a server and a target: all but hop-by-hop fields. The server has judged its visitor already; twice
 * the front door's lines, because it adds its own to the visitor's.
 */
export const STREAM_RULES = new HeaderRules({ maxLines: 200, drop: ['backdial-client'] });

/**
 * Who asks: the address that the server found; null where it told none. Alone in X-Forwarded-For it is who connected there. Of
 * two the second is a proxy whose word the server takes. Of more the server says itself which one is the visitor.
 */
export function visitorOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): string | null {
  const told = fieldValue(rawHeaders, 'backdial-client');
  if (told !== null) return peerAddress(told);
  const entries = fieldValue(rawHeaders, 'x-forwarded-for')?.split(',') ?? [];
  const visitor = forwardedHop(entries.at(-2) ?? '');
  return visitor === null ? (entries.at(-1)?.trim() ?? null) : peerAddress(visitor);
}

/** Reads a request that a server sent on a stream. Gives the code of the rule that it breaks. */
export function readExchangeHead(request: IncomingMessage): RequestHead | ErrorCode {
  const { method = '', url = '', httpVersion, rawHeaders } = request;
  return checkHttp1Head({ method, url, httpVersion, rawHeaders }, STREAM_RULES);
}

/** What a route makes of a request, and whether its stream can become another protocol's. */
export interface ExchangeRoute {
  /** Path and query as they are sent. */
  readonly target: string;
  readonly upgradable: boolean;
}

/** How an exchange is forwarded: as it is, but for its target. Extends `head.headers`, so to be called once. */
export function planOf(head: RequestHead, { target, upgradable }: ExchangeRoute): ForwardPlan {
  const { method, headers, framing } = head;
  const upgrade = upgradable && head.upgrade !== null;
  if (upgrade) headers.push('Connection', 'Upgrade', 'Upgrade', head.upgrade ?? '');
  else if (head.trailers) headers.push('TE', 'trailers', 'Connection', 'TE');
  return {
    request: { method, target, headers, framing, upgrade },
    // Size and rate of bodies are the server's to judge.
    maxBodyBytes: 0,
    bodyRateWindowMs: 0,
    expectsContinue: fieldValue(headers, 'expect')?.toLowerCase() === '100-continue',
    responseHeaders: [],
    requestRules: STREAM_RULES,
    responseRules: STREAM_RULES,
  };
}

/** The plan with another `Host`, in its place; null: as it is. */
export function withHost(plan: ForwardPlan, host: string | null): ForwardPlan {
  if (host === null) return plan;
  const headers = plan.request.headers.map((value, i, all) => {
    return i % 2 === 1 && all[i - 1]?.toLowerCase() === 'host' ? host : value;
  });
  return { ...plan, request: { ...plan.request, headers } };
}
