import { type GroomSection, isSection } from './parse.ts';
import { convertRoute } from './route.ts';
import {
  BODY_BYTES,
  type Bounds,
  type Converted,
  compact,
  flagOf,
  type Notes,
  networksOf,
  noteOthers,
  numberOf,
  serviceOf,
  sizeOf,
  textOf,
  textsOf,
} from './values.ts';

/** How many requests of a domain groom serves at the same time, where the file does not say. */
const OLD_CONCURRENCY = 20;
const CONCURRENCY: Bounds = { least: 3, most: 100 };

/** A server's domain file. */
export function convertServerDomain(name: string, groom: GroomSection, notes: Notes): Converted {
  const clients = isSection(groom.clients) ? groom.clients : {};
  noteOthers(
    groom,
    ['active', 'secret', 'concurrency', 'body_size', 'transaction', 'forward', 'networks', 'clients'],
    name,
    notes,
  );
  const lists = { networks: networksOf(clients.networks), ranges: textsOf(clients.ranges) };
  const credentials = textsOf(clients.credentials);
  const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);
  const who = compact({
    networks: some(lists.networks),
    ranges: some(lists.ranges),
    credentials: some(credentials),
    banner: credentials.length === 0 ? undefined : (textOf(clients, 'banner') ?? 'groom'),
  });
  return compact({
    active: flagOf(groom, 'active') ?? false,
    secret: textOf(groom, 'secret'),
    networks: some(networksOf(groom.networks)),
    concurrency: numberOf(groom, 'concurrency', CONCURRENCY) ?? OLD_CONCURRENCY,
    bodySize: sizeOf(groom, 'body_size', BODY_BYTES),
    transaction: flagOf(groom, 'transaction'),
    forward: some(networksOf(groom.forward)),
    clients: Object.keys(who).length === 0 ? undefined : who,
  });
}

/** An agent's domain file. */
export function convertAgentDomain(name: string, groom: GroomSection, notes: Notes): Converted {
  noteOthers(groom, ['active', 'secret', 'concurrency', 'remote', 'service', 'insecure', 'targets'], name, notes);
  const targets = isSection(groom.targets) ? groom.targets : {};
  const routes = textsOf(targets.active).flatMap((route) => {
    const section = targets[route];
    const converted = isSection(section) ? convertRoute(route, section, { name, notes }) : null;
    if (converted === null) notes.push(`${name}: the target \`${route}\` was left out: it has no URL`);
    return converted === null ? [] : [converted];
  });
  return compact({
    active: flagOf(groom, 'active') ?? false,
    secret: textOf(groom, 'secret'),
    remote: textOf(groom, 'remote'),
    service: serviceOf(groom),
    insecure: flagOf(groom, 'insecure'),
    concurrency: numberOf(groom, 'concurrency', CONCURRENCY) ?? OLD_CONCURRENCY,
    targets: routes.length === 0 ? undefined : routes,
  });
}
