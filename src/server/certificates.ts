import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { BackdialError } from '../core/errors.ts';
import { toDomain, wildcardOf } from '../core/host-name.ts';
import { type Pattern, parsePattern } from '../core/pattern.ts';
import type { CertificateOptions } from './options.ts';

/** AEAD with ECDHE only; AES-128-GCM first, for it is the cheapest per byte and per handshake. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * The entries of `certificates`, and which of them answers a name: the first whose `hosts` match. A name that no entry
 * matches gets no TLS answer (alert 112), also where it is a configured domain: a certificate for another name would fail
 * in every client and tell strangers that name. `*` answers everything, clients without SNI included.
 */
export class Certificates {
  readonly #entries: readonly CertificateOptions[];
  /** Exact names and `*.suffix` -> the first entry that has them. */
  readonly #byName = new Map<string, number>();
  readonly #patterns: { readonly index: number; readonly pattern: Pattern }[] = [];
  #catchAll = -1;

  /** Checks every entry; fails with `config-invalid`, naming each problem and the entry that has it. `where`: the list's name. */
  constructor(entries: readonly CertificateOptions[], where = 'certificates') {
    this.#entries = entries;
    const problems = entries.flatMap((entry, index) => {
      const problem = this.#addHosts(entry, index) ?? pairProblem(entry);
      return problem === null ? [] : [`${where}[${index}] (${entry.hosts.join(', ')}): ${problem}`];
    });
    if (problems.length > 0) throw new BackdialError('config-invalid', problems.join('; '));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entry that answers a canonical name, or a client without SNI (null); -1 when none does. */
  select(name: string | null): number {
    if (name === null) return this.#catchAll;
    const wildcard = wildcardOf(name);
    const found = [this.#byName.get(name), wildcard === null ? undefined : this.#byName.get(wildcard)];
    let best = this.#catchAll;
    for (const index of found) if (index !== undefined && (best === -1 || index < best)) best = index;
    // In the order of the entries.
    for (const { index, pattern } of this.#patterns) {
      if (best !== -1 && index > best) break;
      if (pattern.test(name) === true) return index;
    }
    return best;
  }

  /** The hosts of an entry, as one text: what stays the same when its pair is renewed. */
  hostsOf(index: number): string {
    return this.#entries[index]?.hosts.join(' ') ?? '';
  }

  /** What `tls` needs for an entry: the pair, TLS 1.2 and 1.3, modern ciphers, no renegotiation. */
  contextOptions(index: number): SecureContextOptions {
    const entry = this.#entries[index];
    if (entry === undefined) throw new BackdialError('internal', `no certificate ${index}`);
    return contextOptionsOf(entry);
  }

  /** The problem of a host, or null. */
  #addHosts(entry: CertificateOptions, index: number): string | null {
    if (entry.hosts.length === 0) return '`hosts` is empty; give at least one name, or "*"';
    for (const host of entry.hosts) {
      if (host === '*') {
        if (this.#catchAll === -1) this.#catchAll = index;
      } else if (host.length > 2 && host.startsWith('/') && host.endsWith('/')) {
        const pattern = parsePattern(host.slice(1, -1));
        if (typeof pattern === 'string') return `the regular expression "${host}" ${pattern}`;
        this.#patterns.push({ index, pattern });
      } else {
        const name = toDomain(host);
        if (name === null) return `"${host}" is no host name, "*.suffix", "/regex/" or "*"`;
        if (!this.#byName.has(name)) this.#byName.set(name, index);
      }
    }
    return null;
  }
}

function contextOptionsOf({ cert, key }: CertificateOptions): SecureContextOptions {
  return {
    cert,
    key,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

function pairProblem(entry: CertificateOptions): string | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(entry.cert);
  } catch {
    return '`cert` is no PEM certificate';
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(entry.key))) return '`key` is not the key of `cert`';
  } catch {
    return '`key` is no PEM private key (encrypted keys are not supported)';
  }
  try {
    // What only OpenSSL's own rules know, for instance a key that is too small.
    createSecureContext(contextOptionsOf(entry));
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
