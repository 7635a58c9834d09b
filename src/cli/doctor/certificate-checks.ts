import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { distrust } from '../../agent/dial-server.ts';
import type { ServerTrust } from '../../agent/resolve-options.ts';
import { isForOtherName, plainNames } from '../../net/open-socket.ts';
import { matchesPin } from '../../net/pin.ts';
import type { Findings } from './findings.ts';

const DAY_MS = 86_400_000;
/** A certificate that ends this soon should have been renewed. */
const SOON_DAYS = 14;

/** Judges a server's certificate as agents do, and when it ends. False: an agent would not send its secret there. */
export function checkCertificate(
  findings: Findings,
  socket: TLSSocket,
  { host, trust }: { readonly host: string; readonly trust: ServerTrust },
): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    findings.fail('certificate', 'the server showed none', 'it is no Backdial server, or not the right port');
    return false;
  }
  const problem = distrust(socket, host, trust);
  const ended = dateProblem(certificate);
  if (problem !== null) {
    findings.fail('certificate', `${subjectOf(certificate)} is not trusted: ${problem}`, advice(socket, ended, trust));
    return false;
  }
  const what = `${subjectOf(certificate)}: ${grounds(certificate, trust)}, valid until ${dayOf(certificate)}`;
  const daysLeft = (certificate.validToDate.getTime() - Date.now()) / DAY_MS;
  if (ended !== null) {
    findings.warn('certificate', `${what}; ${ended}`, 'agents with a pin do not mind, visitors do: renew it');
  } else if (daysLeft < SOON_DAYS) {
    findings.warn('certificate', what, `it ends in ${daysText(Math.max(0, Math.floor(daysLeft)))}: renew it`);
  } else if (trust.insecure && trust.pin === null) {
    findings.warn('certificate', what, '`insecure` lets anyone in between read the secret: use `pin`');
  } else {
    findings.ok('certificate', what);
  }
  return true;
}

function grounds(certificate: X509Certificate, trust: ServerTrust): string {
  if (trust.pin !== null && matchesPin(certificate.raw, trust.pin)) {
    return trust.ca === null ? 'it has the pin' : 'it has the pin, and chain and name are in order';
  }
  if (trust.insecure) return 'accepted unseen (`insecure`)';
  return 'chain and name are in order';
}

function dateProblem({ validFromDate, validToDate }: X509Certificate): string | null {
  const now = Date.now();
  if (now < validFromDate.getTime()) return `by this clock it is not valid before ${minuteOf(validFromDate)}`;
  return now > validToDate.getTime() ? `by this clock it ended on ${minuteOf(validToDate)}` : null;
}

function minuteOf(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function advice(socket: TLSSocket, ended: string | null, trust: ServerTrust): string {
  const raw = socket.getPeerX509Certificate()?.raw;
  if (trust.pin !== null && raw !== undefined && !matchesPin(raw, trust.pin)) {
    return (
      'compare with the pin that the server prints when it starts. Another one means another server, a new key, ' +
      'or something in between that ends TLS'
    );
  }
  if (ended !== null) return `${ended}: where the clock is right (see below), renew it at the server`;
  if (isForOtherName(socket)) {
    return 'dial the server by a name that its certificate has, or give the server one for this name; a `pin` alone asks for no name';
  }
  if (trust.ca !== null) return 'give `ca` the authority that issued it, or the server a certificate of that authority';
  return 'where the server has no certificate of a public authority, give its `pin`; else look who answers there';
}

/** What it is for, in short; the names come from a stranger and are made visible where they are printed. */
function subjectOf({ subjectAltName, subject }: X509Certificate): string {
  const names = plainNames(subjectAltName ?? subject ?? '').replace(/\n/g, ', ');
  return names === ''
    ? 'the certificate'
    : `the certificate for ${names.length > 80 ? `${names.slice(0, 80)}...` : names}`;
}

function dayOf({ validToDate }: X509Certificate): string {
  return validToDate.toISOString().slice(0, 10);
}

function daysText(days: number): string {
  return days === 1 ? '1 day' : `${days} days`;
}
