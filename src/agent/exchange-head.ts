import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import type { ForwardPlan } from '../net/forward.ts';
import { checkHttp1Head, type RequestHead } from '../net/head-check.ts';
import { fieldValue, HeaderRules } from '../net/header-rules.ts';

/**
 * What passes between a server and a target: all but hop-by-hop fields. The server has judged its visitor already; twice
 * the front door's lines, because it adds its own to the visitor's.
 */
export const STREAM_RULES = new HeaderRules({ maxLines: 200 });

/** Reads a request that a server sent on a stream. Gives the code of the rule that it breaks. */
export function readExchangeHead(request: IncomingMessage): RequestHead | ErrorCode {
  const { method = '', url = '', httpVersion, rawHeaders } = request;
  return checkHttp1Head({ method, url, httpVersion, rawHeaders }, STREAM_RULES);
}

/** How an exchange is forwarded: as it is. `upgradable`: the stream can become another protocol's. */
export function planOf(head: RequestHead, upgradable: boolean): ForwardPlan {
  const { method, target, headers, framing } = head;
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
