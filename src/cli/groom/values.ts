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

export function numberOf(section: GroomSection, key: string): number | undefined {
  const value = Number(textOf(section, key) ?? Number.NaN);
  return Number.isInteger(value) ? value : undefined;
}

/** A duration: `15s`, `1mn`, or seconds without a unit. */
export function durationOf(section: GroomSection, key: string): string | undefined {
  const text = textOf(section, key)?.replaceAll(' ', '').toLowerCase();
  if (text === undefined) return undefined;
  const [, digits, unit = 's'] = /^(\d+)(ms|s|mn|h|d)?$/.exec(text) ?? [];
  return digits === undefined ? undefined : `${digits}${unit === 'mn' ? 'm' : unit}`;
}

/** A size: groom's `64kB` and `64k` are both 1024s. */
export function sizeOf(section: GroomSection, key: string): string | undefined {
  const [, digits, unit = ''] = /^(\d+)\s*([kmg]?)b?$/i.exec(textOf(section, key) ?? '') ?? [];
  if (digits === undefined) return undefined;
  const letter = unit.toUpperCase() === 'K' ? 'k' : unit.toUpperCase();
  return letter === '' ? `${Math.max(1, Math.round(Number(digits) / 1024))}kB` : `${digits}${letter}B`;
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
