import { networkIn } from '../../config/networks.ts';
import type { GroomSection, GroomValue } from './parse.ts';

/** What could not be carried over, or is to be looked at. */
export type Notes = string[];

export type Converted = Record<string, unknown>;

/** The text of a key; undefined where there is none. */
export function textOf(section: GroomSection, key: string): string | undefined {
  const value = section[key];
  return typeof value === 'string' ? value : undefined;
}

/** Where agents knock, unless that is groom's own default. */
export function serviceOf(section: GroomSection): string | undefined {
  const service = textOf(section, 'service');
  return service === '/.well-known/groom-agent' ? undefined : service;
}

/** As groom reads it: everything but these words is false. */
export function flagOf(section: GroomSection, key: string): boolean | undefined {
  const text = textOf(section, key)?.toLowerCase();
  return text === undefined ? undefined : ['1', 'on', 'yes', 'true'].includes(text);
}

export function textsOf(value: GroomValue | undefined): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string' && item !== '') : [];
}

/** groom takes what is beyond for the bound itself. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

export const BODY_BYTES: Bounds = { least: 65_536, most: 1_073_741_824 };
const KB = 1024;
const DURATION_MS: Bounds = { least: 5_000, most: 60_000 };
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, mn: 60_000, h: 3_600_000, d: 86_400_000 };

export function numberOf(section: GroomSection, key: string, bounds: Bounds): number | undefined {
  const value = Number(textOf(section, key) ?? Number.NaN);
  return Number.isInteger(value) ? within(value, bounds) : undefined;
}

/** A duration of 5 to 60 s: `15s`, `1mn`, or seconds without a unit. */
export function durationOf(section: GroomSection, key: string): string | undefined {
  const text = textOf(section, key)?.replaceAll(' ', '').toLowerCase();
  const [, digits, unit = 's'] = /^(\d+)(ms|s|mn|h|d)?$/.exec(text ?? '') ?? [];
  if (digits === undefined) return undefined;
  const ms = within(Number(digits) * (UNIT_MS[unit] ?? 1), DURATION_MS);
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** A size, its bounds in bytes: groom's `64kB` and `64k` are both 1024s. */
export function sizeOf(section: GroomSection, key: string, bounds: Bounds): string | undefined {
  const [, digits, unit = ''] = /^(\d+)\s*([kmg]?)b?$/i.exec(textOf(section, key) ?? '') ?? [];
  if (digits === undefined) return undefined;
  const power = ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
  const kilobytes = Math.round(within(Number(digits) * KB ** power, bounds) / KB);
  const [count, name] = kilobytes % KB === 0 ? [kilobytes / KB, 'MB'] : [kilobytes, 'kB'];
  return `${count}${name}`;
}

/** Networks of an access list. groom takes `4.3.62.0/18` for `4.3.0.0/18`. */
export function networksOf(value: GroomValue | undefined): string[] {
  return textsOf(value).map(networkIn);
}

function within(value: number, { least, most }: Bounds): number {
  return Math.min(most, Math.max(least, value));
}

/** Without the keys that say nothing. */
export function compact(converted: Converted): Converted {
  return Object.fromEntries(Object.entries(converted).filter(([, value]) => value !== undefined));
}

/** Notes every key that nothing was made of. */
export function noteOthers(section: GroomSection, known: readonly string[], where: string, notes: Notes): void {
  for (const key of Object.keys(section)) {
    if (!known.includes(key)) notes.push(`${where}: \`${key}\` was left out`);
  }
}
