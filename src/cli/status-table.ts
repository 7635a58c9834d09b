import type { AgentState, DomainState } from '../index.ts';
import { bytesText } from '../log/access-line.ts';
import { visible } from '../log/visible.ts';
import type { ProgramSummary } from './program-summary.ts';

/** A tunnel as both APIs tell it. */
export interface TunnelRow {
  readonly id: string;
  readonly domain: string;
  readonly instance: string;
  readonly slot: number;
  readonly remote: string;
  readonly openedAt: number;
  readonly rttMs: number | null;
  readonly streams: number;
  readonly heldBytes: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** A domain as the API of a server, or that of an agent, tells it. */
export type DomainRow = DomainState | AgentState['domains'][number];

/** All that `backdial status` shows. */
export interface StatusReport {
  readonly summary: ProgramSummary;
  readonly domains: readonly DomainRow[];
  /** Names of domains that are not active. */
  readonly inactive: readonly string[];
  readonly tunnels: readonly TunnelRow[];
}

export interface TableOptions {
  readonly now: number;
  readonly colors: boolean;
  /** Rows that there is room for; what is left out is counted. */
  readonly rows: number;
}

/** The report for people: a line about the whole, what needs attention, the domains, the tunnels. */
export function statusTable({ summary, domains, inactive, tunnels }: StatusReport, options: TableOptions): string {
  const half = Math.max(1, Math.floor(options.rows / 2));
  const inactiveRows = inactive.map((name) => [name, '-', '-', '-', 'inactive']);
  const domainRows = [...domains.map((domain) => domainCells(domain)), ...inactiveRows];
  const tunnelRows = tunnels.map((tunnel) => tunnelCells(tunnel, options.now));
  const forDomains = Math.max(half, options.rows - tunnelRows.length);
  const forTunnels = Math.max(half, options.rows - domainRows.length);
  const parts = [
    headline(summary, options),
    ...warnings(summary, options),
    '',
    table(['DOMAIN', 'INSTANCES', 'TUNNELS', 'UNDER WAY', 'STATE'], domainRows, forDomains),
    '',
    table(
      ['TUNNEL', 'DOMAIN', 'INSTANCE', 'OTHER END', 'UP', 'RTT', 'STREAMS', 'IN', 'OUT', 'HELD'],
      tunnelRows,
      forTunnels,
    ),
  ];
  return `${parts.join('\n')}\n`;
}

function headline(summary: ProgramSummary, { now, colors }: TableOptions): string {
  const { kind, name, version, draining, startedAt, domains, inactive, served, tunnels, active } = summary;
  const state = draining ? paint('draining', 33, colors) : paint('serving', 32, colors);
  return (
    `${kind} ${visible(name)}, ${version}: ${state}, up ${ago(now - startedAt)}; ` +
    `domains served: ${served} of ${domains}${inactive > 0 ? ` (and ${inactive} inactive)` : ''}, tunnels: ${tunnels}, under way: ${active}`
  );
}

function warnings(
  { config, certificates, memory, domains, inactive }: ProgramSummary,
  { now, colors }: TableOptions,
): string[] {
  const lines: string[] = [];
  if (domains === 0 && inactive > 0) lines.push('no domain is active: say `active: true` in the file of one');
  if (!config.lastReloadOk) lines.push('the configuration is invalid: what was in force before stays (see the log)');
  for (const { hosts, notAfter } of certificates) {
    const left = notAfter - now;
    if (left > 14 * DAY_MS) continue;
    lines.push(`the certificate for ${visible(hosts)} ${left < 0 ? 'has ended' : `ends in ${ago(left)}`}`);
  }
  const share = memory.heldBytes / memory.budgetBytes;
  if (share > 0.5) lines.push(`readers that do not read hold ${Math.round(share * 100)} % of \`memory\``);
  return lines.map((line) => paint(`! ${line}`, 33, colors));
}

function domainCells(domain: DomainRow): string[] {
  if ('links' in domain) {
    const live = domain.links.filter(({ state }) => state === 'live').length;
    const failure = domain.links.find(({ failure: code }) => code !== null)?.failure;
    const state = failure ?? (live === domain.links.length && live > 0 ? 'up' : 'dialling');
    return [domain.name, domain.instance, `${live} of ${domain.links.length}`, '', state];
  }
  const { name, instances, hasTarget, active } = domain;
  const tunnels = instances.reduce((sum, each) => sum + each.tunnels, 0);
  const ways = Object.entries(active).map(([way, streams]) => `${way} ${streams}`);
  const state = instances.length > 0 ? 'served' : hasTarget ? 'by its target' : 'nobody serves it';
  return [name, instances.map((each) => each.name).join(' ') || '-', String(tunnels), ways.join(', ') || '-', state];
}

function tunnelCells(tunnel: TunnelRow, now: number): string[] {
  const { id, domain, instance, slot, remote, openedAt, rttMs, streams } = tunnel;
  const bytes = [tunnel.receivedBytes, tunnel.sentBytes, tunnel.heldBytes].map(bytesText);
  const rtt = rttMs === null ? '-' : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`;
  return [id, domain, `${instance}/${slot}`, remote, ago(now - openedAt), rtt, String(streams), ...bytes];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[], most: number): string {
  const shown = [heads, ...rows.slice(0, most).map((row) => row.map(visible))];
  const widths = heads.map((_, column) => Math.max(...shown.map((row) => row[column]?.length ?? 0)));
  const lines = shown.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  if (rows.length === 0) lines.push('(none)');
  if (rows.length > most) lines.push(`... and ${rows.length - most} more (--json has them all)`);
  return lines.join('\n');
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

function ago(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} d`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  if (ms >= 2 * MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  return `${Math.max(0, Math.floor(ms / SECOND_MS))} s`;
}

function paint(text: string, color: number, colors: boolean): string {
  return colors ? `\u001b[${color}m${text}\u001b[0m` : text;
}
