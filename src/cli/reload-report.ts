import type { AppliedChange, ApplyResult } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';

/** Domains that are named one by one; a change of thousands must not fill the log. */
const MAX_DOMAINS = 100;

export interface ReportOptions {
  /** The key of a file that an option comes from. */
  keyOf(option: string): string;
  readonly tookMs: number;
  /** Somebody waits for an answer: that nothing changed is one. */
  readonly asked: boolean;
}

/** Says what became of a reload, one line each. */
export function logApplied(system: Logs['system'], result: ApplyResult, { keyOf, tookMs, asked }: ReportOptions): void {
  const { changes, restartRequired, failures } = result;
  let domains = 0;
  for (const change of changes) {
    if (change.what === 'domain') domains += 1;
    if (change.what === 'option' || domains <= MAX_DOMAINS) logChange(system, change, keyOf);
  }
  const more = domains - MAX_DOMAINS;
  if (more > 0) system.info({ event: 'config-changed', domains: more }, `configuration: ${more} more domains changed`);
  for (const option of restartRequired) {
    // Not `key`: that is a name under which the log shows nothing.
    const setting = keyOf(option);
    system.warn({ event: 'restart-required', setting }, `restart required: ${setting}`);
  }
  for (const error of failures) system.error({ event: 'config-failed', code: error.code }, error.message);
  const nothing = changes.length + restartRequired.length + failures.length === 0;
  const unchanged = { event: 'config-unchanged', tookMs };
  if (nothing) system[asked ? 'info' : 'debug'](unchanged, 'configuration read again; nothing changed');
  else system.debug({ event: 'config-applied', tookMs }, `configuration read and applied in ${tookMs} ms`);
}

function logChange(system: Logs['system'], change: AppliedChange, keyOf: (option: string) => string): void {
  const event = 'config-changed';
  if (change.what === 'option') {
    const setting = keyOf(change.key);
    system.info({ event, setting }, `configuration: ${setting} changed`);
    return;
  }
  const { name: domain, action } = change;
  const settings = change.action === 'changed' ? [...new Set(change.keys.map(keyOf))] : [];
  const which = settings.length === 0 ? '' : `: ${settings.join(', ')}`;
  system.info({ event, domain, action, settings }, `configuration: domain ${domain} ${action}${which}`);
}
