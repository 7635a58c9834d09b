import type { Findings } from './findings.ts';

/** Certificates are dated with at least a minute to spare, and `ranges` are told in minutes. */
const MOST_MS = 60_000;

/** Compares this clock with the server's, as its `Date` tells it to the second. */
export function reportClock(findings: Findings, date: string | undefined, now = Date.now()): void {
  const server = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(server)) {
    findings.skip('clock', 'the server told no time');
    return;
  }
  // A whole second stands for all that begin with it.
  const aheadMs = now - server - 500;
  if (Math.abs(aheadMs) <= MOST_MS) {
    findings.ok('clock', `within ${Math.max(1, Math.ceil(Math.abs(aheadMs) / 1_000))} s of the server's`);
    return;
  }
  const by = spanOf(Math.abs(aheadMs));
  findings.fail(
    'clock',
    `this machine's is ${by} ${aheadMs > 0 ? 'ahead of' : 'behind'} the server's`,
    'set the one that is wrong (timedatectl; NTP): certificates seem to have ended or not to have begun, logs do not match',
  );
}

function spanOf(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
