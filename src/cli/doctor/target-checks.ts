import type { ResolvedTarget } from '../../agent/resolve-routes.ts';
import { connectTarget, type TargetOptions } from '../../agent/targets.ts';
import { formatAddress } from '../../core/address.ts';
import { asBackdialError, type ErrorCode } from '../../core/errors.ts';
import { visitorHeader } from '../../net/proxy-protocol.ts';
import { type Finding, Findings } from './findings.ts';
import type { TargetSubject } from './subject.ts';

/**
 * Connects to a target as an agent would, TLS and PROXY header (of a visitor who is not known) included, and says nothing else to it
 * but, where it is to speak HTTP, a HEAD.
 */
export async function checkTarget(
  { domain, target, proxyProtocol }: TargetSubject,
  timeoutMs: number,
): Promise<Finding[]> {
  const findings = new Findings(domain);
  const name = target.kind === 'https' ? `https://${formatAddress(target)}` : formatAddress(target);
  const header = proxyProtocol === null ? null : visitorHeader(proxyProtocol, { visitor: null, arrivedAt: null });
  const started = performance.now();
  try {
    (await connectTarget(target, { timeoutMs, header })).destroy();
    const accepts = `${name} accepts after ${Math.round(performance.now() - started)} ms`;
    const language = target.kind === 'tcp' && target.http === true ? await languageOf(target, domain, header) : 'http';
    if (language === 'tls') findings.fail('target', `${accepts}, but speaks TLS`, 'write https:// instead of http://');
    else if (language === 'other') {
      findings.warn(
        'target',
        `${accepts}, but does not answer HTTP`,
        'mend the port; or does it wait for a PROXY header (`proxyProtocol`)? Or is it no HTTP? Then write tcp://',
      );
    } else findings.ok('target', accepts);
  } catch (thrown) {
    const error = asBackdialError(thrown, 'target-unreachable');
    findings.fail('target', error.message, ADVICE[error.code] ?? UNREACHABLE);
  }
  return findings.list;
}

/** A target may take longer to answer than anyone wants to wait here, ms. */
const ANSWER_MS = 2_000;

/** What is spoken at an address that is to speak HTTP. One that is silent has the benefit of the doubt. */
async function languageOf(target: TcpTarget, domain: string, header: Buffer | null): Promise<'http' | 'tls' | 'other'> {
  const options = { timeoutMs: ANSWER_MS, header };
  const head = `HEAD / HTTP/1.1\r\nHost: ${domain}\r\nConnection: close\r\n\r\n`;
  const answer = await answerTo(target, head, options);
  const isHttp = answer?.startsWith('HTTP/1.') === true;
  // Servers of HTTPS answer what came in the clear with 400, with an alert of TLS, or not at all.
  if (answer === null || (isHttp && !/^HTTP\/1\.\d 400/.test(answer))) return 'http';
  const tls = await connectTarget({ ...target, kind: 'https', verify: false, ca: null }, options).catch(() => null);
  tls?.destroy();
  if (tls !== null) return 'tls';
  return isHttp ? 'http' : 'other';
}

/** The first that is said after `text`; empty where the target ends the connection instead, null where nothing comes in time. */
async function answerTo(target: TcpTarget, text: string, options: TargetOptions): Promise<string | null> {
  const socket = await connectTarget(target, options);
  try {
    return await new Promise((resolve) => {
      socket.setTimeout(ANSWER_MS, () => resolve(null));
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')));
      for (const end of ['end', 'error', 'close']) socket.once(end, () => resolve(''));
      socket.write(text);
    });
  } finally {
    socket.destroy();
  }
}

type TcpTarget = Extract<ResolvedTarget, { kind: 'tcp' }>;

const UNREACHABLE = 'check the address, and that this machine (or container) has a way there';
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  'target-refused': 'start the service, or mend `target`; in a container, 127.0.0.1 is the container itself',
  'target-unresolved': 'mend the name in `target`, or this machine has no resolver that knows it',
  'target-timeout': 'nothing answers there: a firewall, or another address; `connectTimeout` says how long is waited',
  'target-certificate': 'set `tls.ca` to its authority, or `tls: { verify: false }` in the target',
  'target-tls': 'the service does not speak TLS at this port: write http:// instead of https://, or mend the port',
};
