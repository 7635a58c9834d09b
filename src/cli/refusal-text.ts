import { ERRORS, type ErrorCode } from '../core/errors.ts';

/** What a first handshake that failed was about. */
export interface Refusal {
  readonly reason: ErrorCode;
  readonly detail: string;
  readonly server: string;
  readonly domain: string;
}

/** Ends of a first handshake for which trying again is of no use: the server, or what poses as it, has answered. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'handshake-refused',
  'server-certificate',
  'server-tls',
  'proxy-refused',
]);

/** True when a quick agent gives up after its very first handshake ended like this. */
export function isFinal(reason: ErrorCode): boolean {
  return FINAL.has(reason);
}

/** What exit code 4 says: what was seen, and every cause that it can have, the likeliest first. */
export function refusalText(refusal: Refusal): string {
  const causes = CAUSES[refusal.reason]?.(refusal) ?? [];
  // The error that carries this text begins with the catalogue's message already.
  const seen = refusal.detail.replace(`${ERRORS[refusal.reason].message}: `, '');
  return [
    seen.startsWith(refusal.server) ? seen : `${refusal.server}: ${seen}`,
    refusal.reason === 'handshake-refused'
      ? 'The server tells the true reason to its own log only. The causes that this can have:'
      : 'The causes that this can have:',
    ...causes.map((cause) => `  - ${cause}`),
  ].join('\n');
}

const CAUSES: Readonly<Partial<Record<ErrorCode, (refusal: Refusal) => readonly string[]>>> = {
  'handshake-refused': ({ domain }) => [
    `the secret is wrong: it is not one of ${domain} on that server`,
    'ten wrong secrets came from this address lately: another one that is new to the server is looked at in some seconds',
    `the server does not know ${domain}; there, run: backdial domain add ${domain} -c FILE`,
    `${domain} is not \`active\` on the server, its \`networks\` have not this address, or it takes certificates alone`,
    'something in between (a CDN, a load balancer, a proxy) strips the `Upgrade` header',
    'the address is that of another web server, or the `service` path of this server is not the usual one',
  ],
  'server-certificate': () => [
    'the pin is not that of this server: a server prints its own (sha256/...) each time it starts',
    'without --pin or --ca: the certificate is self-signed, or not valid for this name; take the pin of the server',
    'the clock of this machine is wrong, or the certificate has ended: see `date`, set it (timedatectl; NTP), or renew the certificate',
    'something in between answers with a certificate of its own',
  ],
  'server-tls': () => [
    'the port is not one that speaks TLS (the default is 443)',
    'alert 112 (unrecognized name): no entry of its `certificates` covers the name or address by which it is reached here',
    'alert 112, too: the name is that of a domain whose TLS passes through; reach the server by another name, or its address',
    'something in between ends the TLS connection',
  ],
  'proxy-refused': () => [
    'HTTPS_PROXY does not allow connections to this server; NO_PROXY names servers that are dialled directly',
    'HTTPS_PROXY asks for other credentials than those in its URL',
  ],
};
