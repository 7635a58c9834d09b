import type { AccessRecord } from '../core/events.ts';
import { visible } from './visible.ts';

/** The access record as it is written: the names of features 8.2. `start` is epoch ms, `duration` ms, `in` and `out` bytes. */
export function accessFields(record: AccessRecord): Readonly<Record<string, string | number | null>> {
  return {
    start: record.start,
    domain: record.domain,
    instance: record.instance,
    id: record.id,
    method: record.method,
    path: record.path,
    status: record.status,
    reason: record.reason,
    in: record.in,
    out: record.out,
    duration: Math.round(record.durationMs * 1000) / 1000,
    remote: record.remote,
    ua: record.ua,
    referer: record.referer,
    way: record.way,
  };
}

/** One exchange or connection for people, safe for a terminal: `GET /path 200 12 ms`, or `tcp 10.0.0.1:5 1.2 MB in ...`. */
export function accessText(record: AccessRecord): string {
  const outcome = record.reason === 'done' ? '' : ` (${record.reason})`;
  const time = durationText(record.durationMs);
  if (record.method !== null) {
    return visible(`${record.method} ${record.path ?? '*'} ${record.status ?? '-'} ${time}${outcome}`);
  }
  const volume = `${bytesText(record.in)} in, ${bytesText(record.out)} out`;
  return visible(`${record.way} ${record.remote} ${volume} ${time}${outcome}`);
}

/** A time for people: `0.8 ms`, `12 ms`, `1.5 s`, `3 m 20 s`. */
export function durationText(durationMs: number): string {
  if (durationMs < 9.95) return `${durationMs.toFixed(1)} ms`;
  if (durationMs < 999.5) return `${Math.round(durationMs)} ms`;
  if (durationMs < 59_950) return `${(durationMs / 1_000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1_000);
  return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
}

/** A size for people, a kB of 1,024 bytes as in configuration files: `812 B`, `1.2 kB`, `3.4 MB`. At most three digits. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
