import type { ErrorCode } from '../core/errors.ts';
import { parseAuthority } from './authority.ts';
import { checkHttp1Head, type Http1Input, type RequestHead } from './head-check.ts';
import type { HeaderRules } from './header-rules.ts';

/** A request that only a proxy can serve: `CONNECT`, or absolute-form with the scheme `http`. */
export interface ProxyRequest {
  /** As of a request to the host that is asked for; or the rule that it broke. Of CONNECT the port is that of its target. */
  readonly head: RequestHead | ErrorCode;
  /** Every value of Proxy-Authorization. */
  readonly authorizations: readonly string[];
}

const ABSOLUTE_HTTP = /^http:\/\//i;

/** What an HTTP/1 request asks of a proxy; null where it asks for none. */
export function readProxyRequest(input: Http1Input, rules: HeaderRules): ProxyRequest | null {
  const { method, url } = input;
  if (method !== 'CONNECT' && !ABSOLUTE_HTTP.test(url)) return null;
  return { head: checkProxyHead(input, rules), authorizations: valuesOf(input.rawHeaders, 'proxy-authorization') };
}

/** What an HTTP/2 request asks of a proxy: a CONNECT without `:protocol`, whose checked head is given; null for any other. */
export function readHttp2ProxyRequest(head: RequestHead | ErrorCode, raw: readonly string[]): ProxyRequest | null {
  if (typeof head === 'string' || head.method !== 'CONNECT' || head.upgrade !== null) return null;
  return { head, authorizations: valuesOf(raw, 'proxy-authorization') };
}

/** The authority of the request line counts, and takes the place of Host (RFC 9112, section 3.2.2). */
function checkProxyHead(input: Http1Input, rules: HeaderRules): RequestHead | ErrorCode {
  const { method, url, rawHeaders } = input;
  const end = method === 'CONNECT' ? -1 : url.slice(7).search(/[/?#]/);
  const authority = method === 'CONNECT' ? url : url.slice(7, end === -1 ? undefined : end + 7);
  if (parseAuthority(authority) === null || valuesOf(rawHeaders, 'host').length > 1) return 'request-invalid';
  const rest = end === -1 ? '' : url.slice(end + 7);
  const path = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  const headers = ['Host', authority];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'host') headers.push(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
  }
  return checkHttp1Head({ ...input, url: method === 'CONNECT' ? url : path, rawHeaders: headers }, rules);
}

function valuesOf(raw: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) values.push(raw[i + 1] ?? '');
  return values;
}
