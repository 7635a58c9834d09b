import { Secret } from '../core/secret.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';

type Login = Pick<ResolvedAgentDomain, 'secret' | 'identity'>;

/**
 * `login:password` of an agent where a server is asked to reach something for it: of its identity, else of its domain. Null
 * where it has a certificate only.
 */
export function loginOf({ name, secret, identity }: Login & Pick<ResolvedAgentDomain, 'name'>): Secret | null {
  return secret === null ? null : new Secret(`${identity ?? name}:${secret.reveal()}`);
}

/** What an agent shows a server, in `Authorization` (design 3.1): Bearer, or Basic with an identity of its grants. */
export function authorizationOf({ secret, identity }: Login): string | null {
  if (secret === null) return null;
  if (identity === null) return `Bearer ${secret.reveal()}`;
  return `Basic ${Buffer.from(`${identity}:${secret.reveal()}`, 'utf8').toString('base64')}`;
}
