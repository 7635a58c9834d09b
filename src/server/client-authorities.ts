import { type Authorities, distrustOf, readAuthorities } from '../pki/authorities.ts';
import type { VisitorConnection } from './visitor.ts';

/** A text of `clients.certificates`, read. */
interface ClientAuthorities extends Authorities {
  /** PEM of the certificates alone: what TLS is told, and what stays the same when a list is renewed. */
  readonly pem: string;
}

/** Texts that are kept read; another one is read anew when it is needed. */
const MAX_READ = 1_000;
const read = new Map<string, ClientAuthorities>();

/** By which text a connection was judged last. */
const judged = new WeakMap<VisitorConnection, { readonly text: string; readonly distrusted: boolean }>();

/** The authorities in `clients.certificates` (which {@link readAuthorities} can read) without their revocation lists. */
export function authoritiesIn(text: string | null): string | null {
  return text === null ? null : authoritiesOf(text).pem;
}

/**
 * Whether a list in `clients.certificates` takes back what the visitor of this connection has proven. Asked for each request, so that it
 * holds at once for connections that are open; judged once a connection and text.
 */
export function isRevoked(connection: VisitorConnection, text: string): boolean {
  const authorities = authoritiesOf(text);
  if (authorities.lists.length === 0) return false;
  const before = judged.get(connection);
  if (before?.text === text) return before.distrusted;
  const distrusted = distrustOf(connection.clientChain ?? [], authorities) !== null;
  judged.set(connection, { text, distrusted });
  return distrusted;
}

function authoritiesOf(text: string): ClientAuthorities {
  const known = read.get(text);
  if (known !== undefined) return known;
  const authorities = readAuthorities(text);
  const made = { ...authorities, pem: authorities.certificates.map(String).join('') };
  if (read.size >= MAX_READ) read.clear();
  read.set(text, made);
  return made;
}
