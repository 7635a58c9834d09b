import { Secret } from '../core/secret.ts';
import type { ResolvedAgentDomain } from './resolve-options.ts';

/** `login:password` of an agent where a server is asked to reach something for it: of its identity, else of its domain. */
export function loginOf({ name, secret, identity }: Pick<ResolvedAgentDomain, 'name' | 'secret' | 'identity'>): Secret {
  return new Secret(`${identity ?? name}:${secret.reveal()}`);
}

/** What an agent shows a server, in `Authorization` (design 3.1): Bearer, or Basic with an identity of its grants. */
export function authorizationOf({ secret, identity }: Pick<ResolvedAgentDomain, 'secret' | 'identity'>): string {
  if (identity === null) return `Bearer ${secret.reveal()}`;
  return `Basic ${Buffer.from(`${identity}:${secret.reveal()}`, 'utf8').toString('base64')}`;
}
