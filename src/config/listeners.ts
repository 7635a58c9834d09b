import { z } from 'zod';
import type { ListenAddress } from '../core/address.ts';
import type { FrontDoorListener, ServerOptions } from '../server/options.ts';
import { LISTEN_ADDRESSES, parseHandedOver } from './addresses.ts';
import { readCertificates } from './certificates.ts';
import { anything, listOf, mismatch, orNull, text } from './fields.ts';
import { readNetworks } from './networks.ts';
import { readOwner } from './owner.ts';
import { isObject, type Keys, type Section } from './section.ts';
import { HANDED_OVER_SHAPE, textOf } from './shapes.ts';

function listenerSchema(folder: string) {
  return z.strictObject({
    address: listOf(LISTEN_ADDRESSES, (value) => parseHandedOver(value, folder), HANDED_OVER_SHAPE),
    certificates: anything(),
    proxyProtocol: anything(),
    mode: orNull(text('an octal number such as "0660"', parseMode, textOf('0?[0-7]{3}'))),
    owner: orNull(
      text('"user", "user:group" or ":group", names or numbers', (value) => value, textOf('(?!:?$)[^:]*(?::[^:]*)?')),
    ),
  });
}

/** The keys of one of `listen` that is an object; relative paths are relative to `folder`. */
export function listenerKeys(folder: string): Keys<ReturnType<typeof listenerSchema>> {
  return { schema: listenerSchema(folder), notYet: [], required: ['address'] };
}

type Listen = ServerOptions['listen'][number];

/** Reads `listen`: addresses, or objects that say more about theirs. Null where it is not there. */
export async function readListeners(given: Section | null, folder: string): Promise<Listen[] | null> {
  if (given === null) return null;
  const items = given.items();
  if (items.length === 0) given.problem('found an empty list; allowed: at least one address');
  const listeners: Listen[] = [];
  for (const item of items) {
    if (isObject(item.value)) listeners.push(...(await readListener(item, folder)));
    else listeners.push(...readAddresses(item, folder));
  }
  return listeners;
}

function readAddresses(item: Section, folder: string): readonly ListenAddress[] {
  const addresses = parseHandedOver(item.value, folder);
  if (addresses === null) item.problem(mismatch(item.value, `${LISTEN_ADDRESSES}, or an object with \`address\``));
  return addresses ?? [];
}

async function readListener(section: Section, folder: string): Promise<FrontDoorListener[]> {
  const { address: addresses = [], mode, owner: named } = section.read(listenerKeys(folder));
  const certificates = await readCertificates(section.child('certificates'), folder);
  const proxies = section.child('proxyProtocol');
  const proxyProtocol = readNetworks(proxies);
  if (proxies !== null && proxies.items().length === 0) {
    const allowed = 'the networks whose headers are believed, or null where no header comes';
    proxies.problem(`found an empty list; allowed: ${allowed}`);
  }
  const owner = named === undefined ? null : readOwner(named, section.child('owner') ?? section);
  if (section.child('address')?.items().length === 0) {
    section.problem('found an empty list; allowed: at least one address', ['address']);
  }
  for (const [key, value] of Object.entries({ mode, owner: named })) {
    if (value === undefined || addresses.every((address) => 'path' in address)) continue;
    section.problem('found beside an address that is no Unix socket; allowed: only with "unix:/path"', [key]);
  }
  return addresses.map((address) => ({
    address,
    ...(certificates.length === 0 ? {} : { certificates }),
    ...(proxyProtocol.length === 0 ? {} : { proxyProtocol }),
    ...(mode === undefined ? {} : { mode }),
    ...(owner === null ? {} : { owner }),
  }));
}

/** Permission bits in octal digits; a JSON number would be read as decimal. */
function parseMode(value: string): number | null {
  return /^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : null;
}
