import type { GroomSection } from './parse.ts';
import { type Converted, compact, type Notes, textOf } from './values.ts';

/** `http://HOSTS/path?query`; HOSTS is `host:port`, or `3@one:80|two:80` with weights. */
const TARGET = /^(https?:\/\/)([^/?]+)([^?]*)\??(.*)$/;
/** groom's largest weight. */
const MAX_WEIGHT = 100;

/**
 * A route of an agent's domain; null where the section has no URL. A path in groom's `target` takes the place of what `path`
 * matches, or of the whole path where there is no `path`: also an empty one, which is how groom strips a prefix.
 */
export function convertRoute(
  route: string,
  section: GroomSection,
  { name, notes }: { readonly name: string; readonly notes: Notes },
): Converted | null {
  const [, scheme = '', hosts = '', replacement = '', query = ''] = TARGET.exec(textOf(section, 'target') ?? '') ?? [];
  const targets = hosts.split('|').flatMap((host) => {
    const target = weighted(scheme, host);
    if (target === null && hosts !== '')
      notes.push(`${name}: \`${host}\` in its target is no host:port and was left out`);
    return target ?? [];
  });
  if (targets.length === 0) return null;
  const secure = scheme === 'https://';
  // groom never looks at a target's certificate.
  if (secure) {
    const origins = targets.map(({ url }) => url).join(', ');
    notes.push(`${name}: the certificate of ${origins} is not verified, as with groom; see \`tls\` there`);
  }
  const method = textOf(section, 'method') || undefined;
  const host = textOf(section, 'host')?.toLowerCase() ?? 'target';
  const parameters = Array.from(new URLSearchParams(query), ([key, value]) => [key, value === '' ? null : value]);
  return compact({
    name: route,
    method: method?.toUpperCase(),
    ...rewriting(textOf(section, 'path') || undefined, replacement),
    target: targets.every(({ weight }) => weight === 1) && targets.length === 1 ? targets[0]?.url : targets,
    query: parameters.length === 0 ? undefined : Object.fromEntries(parameters),
    host: host === 'remote' ? 'forwarded' : host,
    tls: secure ? { verify: false } : undefined,
  });
}

function weighted(scheme: string, text: string): { url: string; weight: number } | null {
  const [, given = '1', host = ''] = /^(?:\s*(\d*)\s*@)?\s*(\S*)\s*$/.exec(text) ?? [];
  const url = URL.parse(`${scheme}${host}`);
  if (host === '' || url === null) return null;
  return { url: url.origin, weight: Math.min(MAX_WEIGHT, Math.max(1, Number(given))) };
}

function rewriting(path: string | undefined, replacement: string): Converted {
  if (path === undefined)
    return replacement === '' ? {} : { path: '^.*$', rewrite: replacement.replaceAll('$', '$$$$') };
  // What is left of a path that was taken away whole, groom sends as it came.
  const isKept = replacement === '' && /^\^.*[^\\]\$$/.test(path);
  return { path: path.replaceAll('(?P<', '(?<'), rewrite: isKept ? undefined : groupsOf(replacement) };
}

/** Groups as JavaScript names them: `${1}` and `${name}` are `$1` and `$<name>`. */
function groupsOf(replacement: string): string {
  return replacement.replace(/\$(?:\{(\w+)\}|(\w+)|(\$))/g, (_whole, braced, bare, dollar) => {
    const group: string = braced ?? bare ?? dollar;
    return /^(?:\d+|\$)$/.test(group) ? `$${group}` : `$<${group}>`;
  });
}
