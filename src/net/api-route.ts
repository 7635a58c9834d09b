import type { IncomingHttpHeaders } from 'node:http';
import { BackdialError } from '../core/errors.ts';

/** A request to an API: its route is known, its sender may ask. */
export interface ApiRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** What stands for each `{name}` of the route's path, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The sender's address, `ip:port`, or `unix`. */
  readonly remote: string;
  /** Aborted when the sender goes away, or the API closes, before the answer. */
  readonly signal: AbortSignal;
  /** Reads the body as JSON. Fails with `request-invalid` (no JSON) and `body-too-large`; both are answered by themselves. */
  json(): Promise<unknown>;
}

/** What a request is answered with: a value as JSON, a text, or bytes of a `type`. */
export type ApiAnswer = {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
} & ({ readonly json: unknown } | { readonly text: string } | { readonly bytes: Uint8Array; readonly type: string });

/** One endpoint. */
export interface ApiRoute {
  /** GET answers HEAD, too. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `/tunnels/{id}`: a name in braces stands for one segment. */
  readonly path: string;
  /** True: neither a token nor the loopback address is asked for. For files of a page that hold no data. Default false. */
  readonly open?: boolean;
  /** What the OpenAPI document says of it; without it the route is left out there. */
  readonly operation?: ApiOperation;
  /** Answers. A BackdialError that it throws is answered with its status; anything else is a 500. */
  handle(request: ApiRequest): ApiAnswer | Promise<ApiAnswer>;
}

/** An operation of OpenAPI 3.1, as far as a route has to say it. Path parameters are found in the path. */
export interface ApiOperation {
  readonly summary: string;
  /** JSON Schema of the body. */
  readonly body?: object;
  readonly query?: Readonly<Record<string, { readonly description: string; readonly schema: object }>>;
  /** By status. */
  readonly responses: Readonly<
    Record<number, { readonly description: string; readonly schema?: object; readonly type?: string }>
  >;
}

/** A value of a request that is not allowed. */
export interface ValueProblem {
  /** Where: a key of the body, a parameter of the query. */
  readonly field: string;
  /** "found ...; allowed: ...". */
  readonly message: string;
}

/** The answer to a request that is well-formed but has wrong values: 422, which field and why. */
export function valueProblems(problems: readonly ValueProblem[]): ApiAnswer {
  const text = problems.map(({ field, message }) => `${field || 'the body'}: ${message}`).join('; ');
  return failure(new BackdialError('api-value', text), { problems });
}

/** The answer to an error: its status, `error` (the code), `message`, and what is added. */
export function failure(error: BackdialError, more: object = {}, headers: Record<string, string> = {}): ApiAnswer {
  const { code, message, entry } = error;
  return { status: entry.status, headers, json: { error: code, message, ...more } };
}

/** What became of looking for a route. */
export type RouteMatch =
  | { readonly route: ApiRoute; readonly parameters: Readonly<Record<string, string>> }
  | {
      readonly route: null /** Methods that the path has; none where it is unknown. */;
      readonly allow: readonly string[];
    };

/** Finds the route of a request. Fails with `request-invalid` where a parameter cannot be decoded. */
export function findRoute(routes: readonly ApiRoute[], method: string, path: string): RouteMatch {
  const allow = new Set<string>();
  for (const route of routes) {
    const parameters = parametersOf(route.path, path);
    if (parameters === null) continue;
    if (route.method === method || (route.method === 'GET' && method === 'HEAD')) return { route, parameters };
    allow.add(route.method);
    if (route.method === 'GET') allow.add('HEAD');
  }
  return { route: null, allow: [...allow] };
}

function parametersOf(template: string, path: string): Record<string, string> | null {
  const [wanted, given] = [template.split('/'), path.split('/')];
  if (wanted.length !== given.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const text = given[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined ? text !== segment : text === '') return null;
    if (name !== undefined) parameters[name] = decode(text);
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new BackdialError('request-invalid', `${JSON.stringify(text)} cannot be decoded`, { cause });
  }
}
