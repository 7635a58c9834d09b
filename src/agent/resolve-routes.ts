import { X509Certificate } from 'node:crypto';
import { type Pattern, parsePattern } from '../core/pattern.ts';
import { parseReplacement } from '../core/replacement.ts';
import { parseAuthority } from '../net/authority.ts';
import type { AgentDomainOptions, RouteOptions, TargetAddress } from './options.ts';

/** A target with every value decided. */
export type ResolvedTarget =
  | Extract<TargetAddress, { kind: 'tcp' | 'unix' }>
  | {
      readonly kind: 'https';
      readonly host: string;
      readonly port: number;
      readonly verify: boolean;
      readonly ca: string | null;
    };

/** A route with every value decided; patterns are sound, but not compiled: options can be compared. */
export interface ResolvedRoute {
  readonly name: string;
  readonly method: string | null;
  readonly path: string | null;
  readonly targets: readonly { readonly target: ResolvedTarget; readonly weight: number }[];
  readonly rewrite: string | null;
  readonly query: Readonly<Record<string, string | null>>;
  readonly host: string;
  readonly proxyProtocol: 1 | 2 | null;
}

type Report = (problem: string) => void;

const MAX_WEIGHT = 1_000;

/** The routes of a domain, in their order. */
export function resolveRoutes(given: AgentDomainOptions, report: Report): readonly ResolvedRoute[] {
  const { target, targets, handler, ports = {} } = given;
  if (target !== undefined && targets !== undefined) report('both `target` and `targets` are given; one is enough');
  const routes = targets ?? (target === undefined ? [] : [{ target }]);
  if (routes.length === 0 && handler === undefined && Object.keys(ports).length === 0) report('no target is given');
  return Object.freeze(
    routes.map((route, index) => {
      const name = route.name ?? String(index + 1);
      return resolveRoute(name, route, (problem) => report(`target ${name}: ${problem}`));
    }),
  );
}

/** The targets of ports. */
export function resolvePorts(
  given: Readonly<Record<number, TargetAddress>>,
  report: Report,
): Readonly<Record<number, ResolvedTarget>> {
  const entries = Object.entries(given).map(([key, target]) => {
    const port = Number(key);
    if (!isPort(port)) report(`\`ports\`: ${key} is not a port`);
    if (port === 80 || port === 443) report(`\`ports\`: ${key} always means \`targets\``);
    return [port, resolveTarget(target, (problem) => report(`port ${key}: ${problem}`))] as const;
  });
  return Object.freeze(Object.fromEntries(entries));
}

/** Reports a text that is no certificate. */
export function checkCa(pem: string | null, what: string, report: Report): void {
  if (pem === null) return;
  try {
    new X509Certificate(pem);
  } catch {
    report(`${what} is no certificate in PEM`);
  }
}

function resolveRoute(name: string, given: RouteOptions, report: Report): ResolvedRoute {
  const list = 'kind' in given.target ? [{ target: given.target }] : given.target;
  if (list.length === 0) report('the list of targets is empty');
  const targets = list.map(({ target, weight = 1 }) => {
    if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) report(`\`weight\` must be 1 to ${MAX_WEIGHT}`);
    return Object.freeze({ target: resolveTarget(target, report), weight });
  });
  const { host = 'forwarded', proxyProtocol = null } = given;
  checkPattern(given.method, '`method`', report);
  const path = checkPattern(given.path, '`path`', report);
  checkRewrite(given.rewrite, path, report);
  if (host !== 'forwarded' && host !== 'target' && parseAuthority(host) === null) {
    report('`host` must be "forwarded", "target" or a host, with or without port');
  }
  if (proxyProtocol !== null && proxyProtocol !== 1 && proxyProtocol !== 2) report('`proxyProtocol` must be 1 or 2');
  return Object.freeze({
    name,
    method: given.method ?? null,
    path: given.path ?? null,
    targets: Object.freeze(targets),
    rewrite: given.rewrite ?? null,
    query: Object.freeze({ ...given.query }),
    host,
    proxyProtocol,
  });
}

function checkPattern(source: string | undefined, what: string, report: Report): Pattern | null {
  if (source === undefined) return null;
  const pattern = parsePattern(source);
  if (typeof pattern !== 'string') return pattern;
  report(`${what} ${pattern}`);
  return null;
}

function checkRewrite(rewrite: string | undefined, path: Pattern | null, report: Report): void {
  if (rewrite === undefined) return;
  if (path === null) {
    report('`rewrite` replaces what `path` matches, which is missing');
    return;
  }
  const replacement = parseReplacement(rewrite, path);
  if (typeof replacement === 'string') report(`\`rewrite\` ${replacement}`);
}

function resolveTarget(target: TargetAddress, report: Report): ResolvedTarget {
  if (target.kind === 'unix') {
    if (!target.path.startsWith('/')) report('the path of a unix target must be absolute');
    return Object.freeze({ ...target });
  }
  if (target.host === '') report('the target has no host');
  if (!isPort(target.port)) report("the target's port must be 1 to 65535");
  if (target.kind === 'tcp') return Object.freeze({ ...target });
  checkCa(target.ca ?? null, "the target's `ca`", report);
  return Object.freeze({ ...target, verify: target.verify ?? true, ca: target.ca ?? null });
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
