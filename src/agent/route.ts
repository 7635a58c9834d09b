import { formatAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { type Pattern, parsePattern } from '../core/pattern.ts';
import { parseReplacement, type Replacement, replaceMatch } from '../core/replacement.ts';
import type { RequestHead } from '../net/head-check.ts';
import { withQuery } from './query.ts';
import type { ResolvedRoute, ResolvedTarget } from './resolve-routes.ts';
import { type GroupListener, TargetGroup } from './target-group.ts';

/** One entry of `targets`, ready to be asked. */
export class Route {
  readonly group: TargetGroup;
  readonly proxyProtocol: 1 | 2 | null;
  /** Whether it takes every request and changes nothing: bytes could as well pass unread. */
  readonly isPlain: boolean;
  readonly #options: ResolvedRoute;
  readonly #method: Pattern | null;
  readonly #path: Pattern | null;
  readonly #replacement: Replacement | null;

  constructor(options: ResolvedRoute, listener: GroupListener) {
    const { method, path, rewrite, query, host, proxyProtocol, targets } = options;
    this.#options = options;
    this.#method = compiled(method);
    this.#path = compiled(path);
    this.#replacement = rewrite === null || this.#path === null ? null : sound(parseReplacement(rewrite, this.#path));
    this.group = new TargetGroup(targets, listener);
    this.proxyProtocol = proxyProtocol;
    this.isPlain = method === null && path === null && Object.keys(query).length === 0 && host === 'forwarded';
  }

  /**
   * The request's target as this route sends it; null where the route does not take the request. `exhausted` where it cannot
   * be told in time.
   */
  take({ method, target }: Pick<RequestHead, 'method' | 'target'>): string | null | 'exhausted' {
    const takesMethod = this.#method === null || this.#method.test(method);
    if (takesMethod !== true) return takesMethod === null ? 'exhausted' : null;
    const rewritten = this.#path === null ? target : this.#rewrite(target, this.#path);
    return rewritten === null || rewritten === 'exhausted' ? rewritten : withQuery(rewritten, this.#options.query);
  }

  /** What `Host` is to be; null: as it is. */
  hostFor(target: ResolvedTarget): string | null {
    const { host } = this.#options;
    if (host === 'forwarded') return null;
    return host === 'target' ? authorityOf(target) : host;
  }

  #rewrite(target: string, pattern: Pattern): string | null | 'exhausted' {
    const mark = target.indexOf('?');
    const path = mark === -1 ? target : target.slice(0, mark);
    if (this.#replacement === null) {
      const takesPath = pattern.test(path);
      return takesPath === null ? 'exhausted' : takesPath ? target : null;
    }
    const match = pattern.exec(path);
    if (match === null || match === 'exhausted') return match;
    const replaced = replaceMatch(path, match, this.#replacement);
    // A path begins with a slash; `*` (of OPTIONS) is none.
    const rooted = replaced.startsWith('/') || replaced === '*' ? replaced : `/${replaced}`;
    return mark === -1 ? rooted : rooted + target.slice(mark);
  }
}

function compiled(source: string | null): Pattern | null {
  return source === null ? null : sound(parsePattern(source));
}

/** Options were resolved, so that nothing is wrong with them. */
function sound<T>(value: T | string): T {
  if (typeof value === 'string') throw new BackdialError('internal', value);
  return value;
}

/** As a URL writes it: without a port where the scheme implies it, and without a zone, which means something here only. */
function authorityOf(target: ResolvedTarget): string {
  if (target.kind === 'unix') return 'localhost';
  const text = formatAddress({ host: target.host.replace(/%.*$/, ''), port: target.port });
  const implied = target.kind === 'https' ? 443 : 80;
  return target.port === implied ? text.slice(0, -`:${implied}`.length) : text;
}
