import type { ErrorCode } from '../core/errors.ts';
import type { TunnelEnd } from '../core/events.ts';

/** Ends that this side wanted, or that a newer tunnel made up for. */
const INTENDED: ReadonlySet<TunnelEnd> = new Set(['drained', 'removed', 'shutdown']);

/**
 * How bad the end of a tunnel is, by what is left of its domain: an intended end is news; losing one of several warns;
 * losing the last is an error, and a warning where the other side took its leave.
 */
export function endLevel(reason: TunnelEnd, left: number): 'info' | 'warn' | 'error' {
  if (INTENDED.has(reason)) return 'info';
  if (reason === 'replaced' || reason === 'peer-drained') return left === 0 ? 'warn' : 'info';
  return left === 0 ? 'error' : 'warn';
}

/** Refusals that an operator should look at: an agent of theirs is set up wrongly, or a limit is reached. */
const NOTABLE: ReadonlySet<ErrorCode> = new Set([
  'secret-missing',
  'secret-wrong',
  'credentials-limit',
  'network-refused',
  'claim-refused',
  'domain-unknown',
  'domain-inactive',
  'connection-limit',
  'internal',
]);

/** How bad a refused handshake or connection is: strangers' noise is news, an agent that is set up wrongly warns. */
export function refusalLevel(reason: ErrorCode): 'info' | 'warn' {
  return NOTABLE.has(reason) ? 'warn' : 'info';
}
