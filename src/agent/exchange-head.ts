import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { BackdialError, ErrorCode } from '../core/errors.ts';
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

/** An answer of the agent itself, `[name, value, ...]` and body: names the error in Proxy-Status and in words. */
export function errorAnswer(error: BackdialError, agentName: string): { headers: string[]; body: Buffer } {
  const { status, proxyError, message } = error.entry;
  // A token of RFC 8941 begins with a letter.
  const name = /^[a-z]/.test(agentName) ? agentName : `"${agentName}"`;
  const body = Buffer.from(`${status} ${STATUS_CODES[status] ?? ''}\n${error.code}: ${message}\n`);
  const headers = [
    ['Date', new Date().toUTCString()],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', 'no-store'],
    ['Proxy-Status', `${name}; error=${proxyError}; details="${error.code}"`],
  ];
  return { headers: headers.flat(), body };
}
