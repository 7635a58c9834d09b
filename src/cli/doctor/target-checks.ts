import { connectTarget } from '../../agent/targets.ts';
import { formatAddress } from '../../core/address.ts';
import { asBackdialError, type ErrorCode } from '../../core/errors.ts';
import { type Finding, Findings } from './findings.ts';
import type { TargetSubject } from './subject.ts';

/** Connects to a target as an agent would, TLS included, and says nothing to it. */
export async function checkTarget({ domain, target }: TargetSubject, timeoutMs: number): Promise<Finding[]> {
  const findings = new Findings(domain);
  const name = target.kind === 'https' ? `https://${formatAddress(target)}` : formatAddress(target);
  const started = performance.now();
  try {
    (await connectTarget(target, { timeoutMs })).destroy();
    findings.ok('target', `${name} accepts after ${Math.round(performance.now() - started)} ms`);
  } catch (thrown) {
    const error = asBackdialError(thrown, 'target-unreachable');
    findings.fail('target', error.message, ADVICE[error.code] ?? UNREACHABLE);
  }
  return findings.list;
}

const UNREACHABLE = 'check the address, and that this machine (or container) has a way there';
const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  'target-refused': 'start the service, or mend `target`; in a container, 127.0.0.1 is the container itself',
  'target-unresolved': 'mend the name in `target`, or this machine has no resolver that knows it',
  'target-timeout': 'nothing answers there: a firewall, or another address; `connectTimeout` says how long is waited',
  'target-certificate': 'set `tls.ca` to its authority, or `tls: { verify: false }` in the target',
  'target-tls': 'the service does not speak TLS at this port: write http:// instead of https://, or mend the port',
};
