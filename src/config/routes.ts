import type { RouteOptions, TargetAddress, WeightedTarget } from '../agent/options.ts';
import { parsePattern } from '../core/pattern.ts';
import { parseReplacement } from '../core/replacement.ts';
import { TARGET_KEYS, TLS_KEYS, weightedKeys } from './agent-keys.ts';
import { mismatch } from './fields.ts';
import { renamed } from './loaded.ts';
import { readCertificateFile } from './pem.ts';
import { isObject, type Section } from './section.ts';
import { parseTarget, TARGET_ALLOWED } from './target.ts';

/** Entries of `targets`, of one weighted list, and of `ports`; each request looks at the first of them. */
const MAX_ENTRIES = 1_000;
const HTTP_PORTS = [80, 443];

const OPTIONS = {
  name: 'name',
  method: 'method',
  path: 'path',
  rewrite: 'rewrite',
  query: 'query',
  host: 'host',
  proxyProtocol: 'proxyProtocol',
} as const;

/** Reads `targets`, or one target. What is wrong is a problem of its own place, and left out. `active`: it is to be used. */
export async function readRoutes(main: Section | null, folder: string, active: boolean): Promise<RouteOptions[]> {
  const routes: RouteOptions[] = [];
  for (const section of itemsOf(main)) {
    const route = await readRoute(section, folder, active);
    if (route !== null) routes.push(route);
  }
  return routes;
}

/** Reads `ports`. */
export function readPorts(section: Section | null, folder: string): Record<number, TargetAddress> {
  const ports: Record<number, TargetAddress> = {};
  if (section === null) return ports;
  const { value } = section;
  const allowed = 'an object such as { 5432: "127.0.0.1:5432" }';
  if (!isObject(value) || Object.keys(value).length > MAX_ENTRIES) {
    section.problem(mismatch(value, isObject(value) ? `${allowed}, of at most ${MAX_ENTRIES} ports` : allowed));
    return ports;
  }
  for (const [key, given] of Object.entries(value)) {
    const port = /^[1-9]\d{0,4}$/.test(key) ? Number(key) : 0;
    const target = parseTarget(given, folder);
    if (port === 0 || port > 65_535) section.problem(mismatch(key, 'a port from 1 to 65535'), [key], 'key');
    else if (HTTP_PORTS.includes(port)) section.problem(`port ${port} always means \`targets\``, [key], 'key');
    else if (target === null) section.problem(mismatch(given, TARGET_ALLOWED), [key]);
    else ports[port] = target;
  }
  return ports;
}

async function readRoute(section: Section, folder: string, active: boolean): Promise<RouteOptions | null> {
  const { value } = section;
  if (!isObject(value) && parseTarget(value, folder) !== null) {
    section.problem(mismatch(value, `{ target: ${JSON.stringify(value)} }, or a list of such`));
    return null;
  }
  const fields = section.read(TARGET_KEYS);
  checkPatterns(section, fields);
  const given = section.child('target');
  const targets = given === null ? [] : readTargets(given, folder);
  const secured = await readTls(section, targets, { folder, active });
  const [first] = secured;
  if (first === undefined) return null;
  const isList = Array.isArray(given?.value);
  return { ...renamed(fields, OPTIONS), target: isList ? secured : first.target };
}

function checkPatterns(section: Section, given: { method?: string; path?: string; rewrite?: string }): void {
  for (const key of ['method', 'path'] as const) {
    const pattern = given[key] === undefined ? null : parsePattern(given[key]);
    if (typeof pattern === 'string') section.problem(`the regular expression ${pattern}`, [key]);
    if (key !== 'path' || given.rewrite === undefined || typeof pattern === 'string') continue;
    const replacement =
      pattern === null ? 'replaces what `path` matches, which is missing' : parseReplacement(given.rewrite, pattern);
    if (typeof replacement === 'string') section.problem(`the replacement ${replacement}`, ['rewrite']);
  }
}

/** One target, or a weighted list. */
function readTargets(section: Section, folder: string): WeightedTarget[] {
  const items = itemsOf(section);
  if (items.length === 0) section.problem('found an empty list; allowed: at least one target');
  return items.flatMap((item) => {
    if (!isObject(item.value)) {
      const target = parseTarget(item.value, folder);
      if (target === null) item.problem(mismatch(item.value, `${TARGET_ALLOWED}, or a list of { url, weight }`));
      return target === null ? [] : [{ target }];
    }
    const { url, weight } = item.read(weightedKeys(folder));
    return url === undefined ? [] : [{ target: url, ...(weight === undefined ? {} : { weight }) }];
  });
}

/** The targets with the settings of `tls`. */
async function readTls(
  section: Section,
  targets: readonly WeightedTarget[],
  { folder, active }: { readonly folder: string; readonly active: boolean },
): Promise<WeightedTarget[]> {
  const tlsSection = section.child('tls');
  const tls = tlsSection?.read(TLS_KEYS) ?? {};
  const caSection = tls.ca === undefined ? null : (tlsSection?.child('ca') ?? null);
  const ca = caSection === null ? null : await readCertificateFile(caSection, folder);
  const isSecure = targets.some(({ target }) => target.kind === 'https');
  // Otherwise a target that was meant to be checked would be spoken to in the clear.
  if (!isSecure && targets.length > 0 && (tls.ca !== undefined || tls.verify === false)) {
    section.problem('found settings beside a target that is not https://', ['tls'], 'key');
  }
  if (isSecure && active && tls.verify === false)
    section.warn('any certificate of the target is accepted', ['tls', 'verify']);
  const settings = { ...(tls.verify === undefined ? {} : { verify: tls.verify }), ...(ca === null ? {} : { ca }) };
  return targets.map(({ target, ...weight }) => ({
    target: target.kind === 'https' ? { ...target, ...settings } : target,
    ...weight,
  }));
}

function itemsOf(section: Section | null): Section[] {
  const items = section?.items() ?? [];
  if (items.length <= MAX_ENTRIES) return items;
  section?.problem(`found ${items.length} entries; at most ${MAX_ENTRIES} are allowed`);
  return [];
}
