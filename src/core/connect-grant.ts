import { covers } from './host-name.ts';

/** Asked for without a port, a name means its targets, which are reached at either of these (design, section 2). */
const TARGET_PORTS: readonly number[] = [443, 80];

/** A name that somebody wants to reach, and the domain that serves it: the same, unless it names an instance. */
export interface AskedConnection {
  readonly name: string;
  readonly domain: string;
  readonly port: number | null;
}

/** TCP ports from `first` to `last`, both included; 1 to 65,535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Whether a port is one of a range. */
export function isInRange({ first, last }: PortRange, port: number): boolean {
  return port >= first && port <= last;
}

/** Whether a grant of `connect` (names that may be reached through the server) allows what is asked for. */
export function allowsConnection(
  grant: { readonly name: string; readonly ports: PortRange | null },
  { name, domain, port }: AskedConnection,
): boolean {
  const { ports } = grant;
  if (!covers(grant.name, name) && !covers(grant.name, domain)) return false;
  return ports === null || (port === null ? TARGET_PORTS : [port]).some((each) => isInRange(ports, each));
}
