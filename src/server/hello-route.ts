import type { ErrorCode } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import type { ClientHello } from '../net/client-hello.ts';
import type { Certificates } from './certificates.ts';

/** What a ClientHello leads to. TLS passthrough becomes a third kind, which is handed `raw` in the same turn. */
export type HelloRoute =
  | { readonly kind: 'terminate'; readonly name: string | null; readonly certificate: number }
  | { readonly kind: 'refuse'; readonly reason: ErrorCode; readonly name: string | null; readonly detail: string };

const MAX_NAME_IN_LOG = 254;

/** Decides by SNI and certificates. */
export function helloRoute({ serverName }: ClientHello, certificates: Certificates): HelloRoute {
  const name = serverName === null ? null : canonicalName(serverName);
  // Unlike Host, a name in SNI has no trailing dot (RFC 6066, section 3).
  if (serverName !== null && (name === null || serverName.endsWith('.'))) {
    const detail = `SNI ${JSON.stringify(serverName.slice(0, MAX_NAME_IN_LOG))}`;
    return { kind: 'refuse', reason: 'name-invalid', name: null, detail };
  }
  const certificate = certificates.select(name);
  if (certificate !== -1) return { kind: 'terminate', name, certificate };
  return { kind: 'refuse', reason: 'certificate-missing', name, detail: name ?? 'no SNI' };
}
