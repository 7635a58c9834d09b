import type { SocketAddress } from '../core/address.ts';
import { asBackdialError, type BackdialError } from '../core/errors.ts';
import type { ListenChange } from './change.ts';

/** A listener that was asked for and could not be opened. */
export interface ListenFailure {
  readonly address: SocketAddress;
  /** `listen-failed`, which names the address and what to do. */
  readonly error: BackdialError;
}

/** How the listeners of one way in are opened and closed. */
export interface ListenerVerbs {
  open(address: SocketAddress): Promise<unknown>;
  close(address: SocketAddress): void;
}

/** Closes first: what is given up may be in the way of what is wanted. Never rejects. */
export async function moveListeners(
  { added, removed }: ListenChange,
  { open, close }: ListenerVerbs,
): Promise<ListenFailure[]> {
  for (const address of removed) close(address);
  const failures: ListenFailure[] = [];
  for (const address of added) {
    try {
      await open(address);
    } catch (thrown) {
      failures.push({ address, error: asBackdialError(thrown, 'listen-failed') });
    }
  }
  return failures;
}
