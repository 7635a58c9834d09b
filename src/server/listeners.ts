import { formatAddress, type ListenAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import type { Listener } from '../net/listen.ts';
import type { ListenerGroup } from '../net/listener-group.ts';
import type { WantedListener } from '../net/listener-set.ts';
import { networkFault } from '../net/networks.ts';
import type { FrontDoorListener, ServerOptions } from './options.ts';

/** A front door with every value decided. */
export type ResolvedListener = Readonly<Required<FrontDoorListener>> & {
  /** What tells it from the others: its address; with a number where several have the same (port 0). */
  readonly key: string;
};

/** Sockets that the process was handed, by name. */
export type HandedOver = NonNullable<ServerOptions['sockets']>;

const DEFAULTS = { certificates: [], proxyProtocol: [], mode: null, owner: null } as const;

/** Front doors as they were given, in full. */
export function resolveListeners(given: ServerOptions['listen']): readonly ResolvedListener[] {
  const seen = new Map<string, number>();
  return given.map((each) => {
    const listener = 'address' in each ? each : { address: each };
    const place = formatAddress(listener.address);
    const count = (seen.get(place) ?? 0) + 1;
    seen.set(place, count);
    const told = Object.fromEntries(Object.entries(listener).filter(([, value]) => value !== undefined));
    return Object.freeze({ ...DEFAULTS, ...(told as typeof listener), key: count === 1 ? place : `${place} ${count}` });
  });
}

/** What is wrong with front doors. */
export function listenerProblems(listeners: readonly ResolvedListener[]): string[] {
  return listeners.flatMap(({ address, key, proxyProtocol, mode, owner }) => {
    const problems = proxyProtocol.flatMap((network) => networkFault(network) ?? []);
    const forUnix = (mode !== null || owner !== null) && !('path' in address);
    if (forUnix) problems.push('`mode` and `owner` are for Unix sockets');
    return problems.map((problem) => `\`listen\` ${key}: ${problem}`);
  });
}

/** A listener that may stand for several sockets: systemd hands over any number under one name. */
export interface Place {
  readonly key: string;
  readonly address: ListenAddress;
}

/** What has to be open for `place`. Where no socket of its name was handed over, opening it fails and says which were. */
export function wantedListeners(
  place: Place,
  sockets: HandedOver,
  open: (address: ListenAddress, group: ListenerGroup) => Promise<Listener>,
): WantedListener[] {
  const { key, address } = place;
  if (!('systemd' in address)) return [{ key, listen: (group) => open(address, group) }];
  const descriptors = (Object.hasOwn(sockets, address.systemd) ? sockets[address.systemd] : undefined) ?? [];
  if (descriptors.length === 0) return [{ key, listen: () => Promise.reject(notHandedOver(address, sockets)) }];
  return descriptors.map((fd) => ({ key: `${key} fd:${fd}`, listen: (group) => open({ fd }, group) }));
}

function notHandedOver(address: ListenAddress, sockets: HandedOver): BackdialError {
  const there = Object.entries(sockets).map(([name, fds]) => `${name} (${fds.map((fd) => `fd ${fd}`).join(', ')})`);
  const found = there.length === 0 ? 'none at all was (see FileDescriptorName= of systemd.socket)' : there.join(', ');
  return new BackdialError(
    'listen-failed',
    `${formatAddress(address)}: no socket of that name was handed over; handed over: ${found}`,
  );
}

/** What opens and closes listeners as the options in force say; gives what it could not open, which the next call tries again. */
interface Following {
  follow(): Promise<BackdialError[]>;
}

/** Lets each follow. One may want what another gives up only after it, so what could not be opened is tried once more. */
export async function followAll(ways: readonly Following[]): Promise<BackdialError[]> {
  const failures = await followEach(ways);
  return failures.length === 0 ? failures : followEach(ways);
}

async function followEach(ways: readonly Following[]): Promise<BackdialError[]> {
  const failures: BackdialError[] = [];
  for (const way of ways) failures.push(...(await way.follow()));
  return failures;
}
