import { hostname } from 'node:os';
import { type LogSyslog, SYSLOG_FACILITIES } from '../core/log-destination.ts';
import type { LogName } from './destination.ts';

/**
 * Longest MSG, bytes. Receivers cut what is longer than they take (rsyslog: 8 kB unless told otherwise), and half a record
 * cannot be parsed. Also well below the largest datagram.
 */
const MAX_MSG_BYTES = 7_680;

/** What a value that was shortened ends in. */
const SHORTENED = '...[shortened]';

/** The JSON beyond ASCII, and DEL. RFC 5424 wants a byte order mark before UTF-8, which parsers of JSON choke on; ASCII needs none. */
const BEYOND_ASCII = /[\u007f-\uffff]/g;

/** Makes RFC 5424 messages of one destination, in ASCII, without anything that ends a line or a frame. */
export function syslogFormat({ facility, name }: LogSyslog): (line: string, level: number, log: LogName) => string {
  const priorityBase = SYSLOG_FACILITIES[facility] * 8;
  const host = header(hostname(), 255);
  const rest = `${host} ${header(name, 48)} ${process.pid}`;
  return (line, level, log) => {
    const time = new Date().toISOString();
    return `<${priorityBase + severity(level)}>1 ${time} ${rest} ${log} - ${asciiRecord(line)}`;
  };
}

/** Severity of RFC 5424, table 2, of one of pino's levels. */
function severity(level: number): number {
  if (level >= 60) return 2;
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}

/** A field of the header: printable ASCII without space, `-` where nothing is left. */
function header(text: string, most: number): string {
  return text.replace(/[^!-~]/g, '').slice(0, most) || '-';
}

function asciiRecord(line: string): string {
  const text = ascii(line.trimEnd());
  if (text.length <= MAX_MSG_BYTES) return text;
  // The longest values give way first: the short ones are what a record is found by.
  for (let most = 2_048; ; most = Math.floor(most / 2)) {
    const shorter = ascii(JSON.stringify(shortened(JSON.parse(text), most)));
    if (shorter.length <= MAX_MSG_BYTES) return shorter;
    if (most === 0) return JSON.stringify({ msg: SHORTENED });
  }
}

function shortened(value: unknown, most: number): unknown {
  if (typeof value === 'string') return value.length <= most ? value : `${value.slice(0, most)}${SHORTENED}`;
  if (Array.isArray(value)) return value.map((item) => shortened(item, most));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shortened(item, most)]));
}

function ascii(json: string): string {
  return json.replace(BEYOND_ASCII, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
