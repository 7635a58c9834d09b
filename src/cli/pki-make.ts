import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { BackdialError } from '../core/errors.ts';
import { toDomain } from '../core/host-name.ts';
import { pinOf } from '../net/pin.ts';
import { Authority, type LeafKind } from '../pki/authority.ts';
import { canonicalSerial } from '../pki/crl.ts';
import {
  exists,
  keepOld,
  openAuthority,
  pairPaths,
  readText,
  refuseExisting,
  writePair,
  writeTo,
} from './pki-files.ts';
import { writeRevocations } from './pki-revoke.ts';

/** What `backdial pki` was asked for. */
export interface PkiArguments {
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly days?: number;
  readonly out: string;
  /** Folder of `ca.pem` and `ca.key`. Default: `out`, else the current one. */
  readonly authority?: string;
  readonly name?: string;
  readonly force: boolean;
}

const CA_DAYS = 3_650;
const LEAF_DAYS = 365;
const MAX_DAYS = 36_500;
const DAY_MS = 86_400_000;
/** ub-common-name of RFC 5280. */
const MAX_NAME_LENGTH = 64;

/** Makes an authority, and its revocation list, which is empty. Gives what to tell the user. */
export async function makeAuthority(given: PkiArguments): Promise<string[]> {
  if (given.dns.length > 0 || given.ip.length > 0) {
    throw new BackdialError('usage', 'an authority has no --dns and no --ip; see `backdial pki --help`');
  }
  const paths = pairPaths(given.out, 'ca');
  if (!given.force) await refuseExisting(paths);
  const days = checkedDays(given.days ?? CA_DAYS);
  const pair = await Authority.make({ name: checkedName(given.name ?? 'Backdial authority'), days });
  const replaced = given.force && (await keepOld(paths));
  await writePair(given.out, 'ca', pair, given.force);
  const list = await writeRevocations(given.out, new Authority(pair), { revoked: [], number: 1 });
  return [
    `wrote ${paths.cert}: authority, ends ${endOf(pair.cert)}; give it to who has to trust what it issues`,
    `wrote ${paths.key}: its key (0600); whoever has it can be anyone`,
    `wrote ${list.file}: nothing is revoked, ends ${list.end}`,
    ...(replaced
      ? ['the authority before it is kept in ca.pem.old and ca.key.old; what it issued is not valid under the new one']
      : []),
  ];
}

/** Issues a certificate of a kind, with a new key. Gives what to tell the user. */
export async function makeLeaf(kind: LeafKind, given: PkiArguments): Promise<string[]> {
  const paths = pairPaths(given.out, kind);
  if (!given.force) await refuseExisting(paths);
  const folders = given.authority === undefined ? [given.out, '.'] : [given.authority];
  const { authority } = await openAuthority(folders);
  const { dns, ip, name } = await subjectOf(kind, given);
  const pair = await authority.issue({ kind, name, dns, ip, notAfter: endOfLeaf(authority, given.days) });
  const replaced = given.force ? await keepReplaced(paths.cert) : [];
  await writePair(given.out, kind, pair, given.force);
  const covers = dns.length + ip.length === 0 ? `subject ${name}` : `for ${[...dns, ...ip].join(', ')}`;
  const { serialNumber } = new X509Certificate(pair.cert);
  return [
    `wrote ${paths.cert}: ${kind} certificate ${covers}, ends ${endOf(pair.cert)}, serial ${canonicalSerial(serialNumber)}`,
    `wrote ${paths.key}: its key (0600)`,
    ...replaced,
    ...(kind === 'server' ? [`pin ${pinOf(pair.cert)}`] : []),
  ];
}

/** A certificate that another takes the place of stays valid, and can be revoked for as long as there is a copy of it. */
async function keepReplaced(cert: string): Promise<string[]> {
  if (!(await exists(cert))) return [];
  const text = await readText(cert);
  const old = `${cert}.old`;
  await writeTo(old, text, { mode: 0o644, force: true });
  if (!isCertificate(text)) return [`what was at ${cert} is kept in ${old}`];
  return [
    `the one before it, kept in ${old}, is valid until ${endOf(text)}; \`backdial pki revoke ${old}\` takes it back`,
  ];
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).serialNumber !== '';
  } catch {
    return false;
  }
}

interface Subject {
  readonly name: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
}

/** Whom the certificate is for. What is renewed without any name keeps all of its own. */
async function subjectOf(kind: LeafKind, given: PkiArguments): Promise<Subject> {
  const { cert } = pairPaths(given.out, kind);
  const isNamed = given.dns.length + given.ip.length > 0 || given.name !== undefined;
  if (!isNamed && given.force && (await exists(cert))) return subjectIn(cert, await readText(cert));
  const dns = [...new Set(given.dns.map(checkedDns))];
  const ip = [...new Set(given.ip.map(checkedIp))];
  if (kind === 'agent' && dns.length === 0) {
    throw new BackdialError('usage', 'an agent needs --dns: the domains, or instance.domain, that it may serve');
  }
  if (kind === 'server' && dns.length + ip.length === 0) {
    throw new BackdialError('usage', 'a server needs --dns or --ip: what visitors and agents call it by');
  }
  const short = [...dns, ...ip].find((text) => text.length <= MAX_NAME_LENGTH);
  return { dns, ip, name: checkedName(given.name ?? short ?? `backdial ${kind}`) };
}

function subjectIn(file: string, pem: string): Subject {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    throw new BackdialError('input-invalid', `${file} is no certificate in PEM; give its names anew`, { cause: error });
  }
  const parts = (certificate.subjectAltName ?? '').split(', ');
  const pick = (prefix: string) =>
    parts.flatMap((part) => (part.startsWith(prefix) ? [part.slice(prefix.length)] : []));
  const { CN } = certificate.toLegacyObject().subject;
  const name = Array.isArray(CN) ? CN[0] : CN;
  return {
    name: checkedName(name ?? 'backdial'),
    dns: pick('DNS:').map(checkedDns),
    ip: pick('IP Address:').map(checkedIp),
  };
}

/** Nothing outlives its authority: what is asked for beyond is refused, the default shortened. */
function endOfLeaf({ certificate }: Authority, days: number | undefined): Date {
  const end = Date.now() + checkedDays(days ?? LEAF_DAYS) * DAY_MS;
  const last = certificate.validToDate.getTime();
  if (end <= last) return new Date(end);
  if (days === undefined) return new Date(last);
  const left = Math.floor((last - Date.now()) / DAY_MS);
  throw new BackdialError('input-invalid', `--days ${days}: ca.pem itself ends in ${left} days`);
}

function checkedDays(days: number): number {
  if (Number.isInteger(days) && days >= 1 && days <= MAX_DAYS) return days;
  throw new BackdialError('input-invalid', `--days: a whole number from 1 to ${MAX_DAYS} is allowed`);
}

function checkedName(name: string): string {
  if (/^[^\p{Cc}]{1,64}$/u.test(name)) return name;
  throw new BackdialError(
    'input-invalid',
    `--name ${JSON.stringify(name)}; allowed: 1 to ${MAX_NAME_LENGTH} characters that can be printed`,
  );
}

function checkedDns(name: string): string {
  const canonical = toDomain(name);
  if (canonical !== null) return canonical;
  const hint = isIP(name) === 0 ? 'a host name, or *. and one' : 'a host name; for an address use --ip';
  throw new BackdialError('name-invalid', `--dns ${JSON.stringify(name)}; allowed: ${hint}`);
}

function checkedIp(address: string): string {
  if (isIP(address) !== 0 && !address.includes('%')) return address;
  throw new BackdialError('input-invalid', `--ip ${JSON.stringify(address)}; allowed: an IPv4 or IPv6 address`);
}

function endOf(pem: string): string {
  return new X509Certificate(pem).validToDate.toISOString().replace('.000', '');
}
