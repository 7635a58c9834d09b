import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { basename, dirname, resolve } from 'node:path';
import { z } from 'zod';
import { parseHostPort } from '../core/address.ts';
import { toHostName } from '../core/host-name.ts';
import {
  type LogDestination,
  type LogFile,
  type LogSyslog,
  SYSLOG_FACILITIES,
  type SyslogAddress,
  type SyslogFacility,
} from '../core/log-destination.ts';
import { parseUnixPath } from './addresses.ts';
import { count, flag, listOf, matching, mismatch, oneOf, SIZE_SHAPE, text } from './fields.ts';
import { faultOf } from './read-file.ts';
import { isObject, type Keys, type Section } from './section.ts';
import { anyOf, textOf } from './shapes.ts';
import { parseSize } from './units.ts';

/** Smallest size that a file may be rotated at, bytes. */
const LEAST_ROTATE_BYTES = 1_000;

const ROTATE_SHAPE = anyOf({ const: 'daily' }, SIZE_SHAPE, { type: 'null' });
const SYSLOG_SHAPE = textOf(String.raw`(?:udp|tcp):\/\/\S+`, String.raw`unix:[^\u0000]+`);

const FILE_SCHEMA = z.strictObject({
  file: text(
    'a path; its last part may hold %Y, %Y%m, %Y%m%d or %Y%m%d%H in any order',
    (value) => (isFilePattern(value) ? value : null),
    textOf(String.raw`(?:[^%\u0000]*\/)?(?:[^%\/\u0000]|%[YmdH])+`),
  ),
  rotate: listOf('"daily", a size from 1k such as "100MB", or null', parseRotate, ROTATE_SHAPE),
  keep: count(0, 100_000),
  gzip: flag(),
});

/** What becomes of a log whose file cannot be written any more. */
const MEANWHILE = 'its lines wait in memory, up to a bound, and the rest of the configuration is followed';

/** The keys of a log file. */
export const LOG_FILE_KEYS = { schema: FILE_SCHEMA, notYet: [], required: ['file'] } satisfies Keys<typeof FILE_SCHEMA>;

function syslogSchema(folder: string) {
  return z.strictObject({
    syslog: text(
      '"udp://host:514", "tcp://host:601" or "unix:/path" of a stream socket',
      (value) => parseSyslog(value, folder),
      SYSLOG_SHAPE,
    ),
    facility: oneOf(...(Object.keys(SYSLOG_FACILITIES) as SyslogFacility[])),
    name: matching('1 to 48 characters of printable ASCII without space', /^[!-~]{1,48}$/),
  });
}

/** The keys of a syslog receiver; relative paths are relative to `folder`. */
export function syslogKeys(folder: string): Keys<ReturnType<typeof syslogSchema>> {
  return { schema: syslogSchema(folder), notYet: [], required: ['syslog'] };
}

/** What destinations are read beside. */
export interface LogPlace {
  /** Relative paths are relative to it. */
  readonly folder: string;
  /** Log files in force; see `LoadOptions`. */
  readonly inForce?: readonly string[] | undefined;
}

/** Reads `system` or `access`: a destination or a list of them; null means none. */
export async function readDestinations(section: Section, place: LogPlace): Promise<LogDestination[]> {
  const destinations: LogDestination[] = [];
  for (const item of section.items()) {
    const destination = await readDestination(item, place);
    if (destination !== null) destinations.push(destination);
  }
  return destinations;
}

async function readDestination(section: Section, place: LogPlace): Promise<LogDestination | null> {
  const { value } = section;
  if (value === 'console') return value;
  if (isObject(value) && Object.hasOwn(value, 'syslog')) return readSyslog(section, place.folder);
  if (isObject(value) && Object.hasOwn(value, 'file')) return readLogFile(section, place);
  section.problem(
    mismatch(value, '"console", { file: "..." }, { syslog: "..." }, a list of these, or null for nowhere'),
  );
  return null;
}

async function readLogFile(section: Section, { folder, inForce = [] }: LogPlace): Promise<LogFile | null> {
  const { file: given, rotate = [], keep = 7, gzip = true } = section.read(LOG_FILE_KEYS);
  if (given === undefined) return null;
  const file = resolve(folder, given);
  const fault = (await folderFault(dirname(file))) ?? (given.includes('%') ? null : await fileFault(file));
  if (fault !== null && inForce.includes(file)) section.warn(`${fault}; until that is mended ${MEANWHILE}`, ['file']);
  else if (fault !== null) section.problem(fault, ['file']);
  const sizes = rotate.filter((each) => each !== 'daily');
  return {
    file,
    daily: rotate.includes('daily'),
    maxBytes: Math.min(...sizes, sizes.length === 0 ? 0 : Infinity),
    keep,
    gzip,
  };
}

function readSyslog(section: Section, folder: string): LogSyslog | null {
  const { syslog, facility = 'daemon', name = 'backdial' } = section.read(syslogKeys(folder));
  return syslog === undefined ? null : { syslog, facility, name };
}

/** `%Y` and so on in the last part only; a smaller unit needs the larger ones, for else one name would mean two times. */
function isFilePattern(path: string): boolean {
  if (path === '' || path.endsWith('/') || path.includes('\0') || dirname(path).includes('%')) return false;
  const units = ['%Y', '%m', '%d', '%H'];
  const found: readonly string[] = basename(path).match(/%.?/g) ?? [];
  const smallest = Math.max(-1, ...found.map((unit) => units.indexOf(unit)));
  return (
    found.every((unit) => units.includes(unit)) && units.slice(0, smallest + 1).every((unit) => found.includes(unit))
  );
}

function parseRotate(value: unknown): ('daily' | number)[] | null {
  if (value === null) return [];
  if (value === 'daily') return [value];
  const bytes = parseSize(value);
  return bytes === null || bytes < LEAST_ROTATE_BYTES ? null : [bytes];
}

function parseSyslog(value: string, folder: string): SyslogAddress | null {
  if (value.startsWith('unix:')) {
    const path = parseUnixPath(value, folder);
    return path === null ? null : { protocol: 'unix', path };
  }
  const [, protocol, rest = ''] = /^(udp|tcp):\/\/(.*)$/.exec(value) ?? [];
  if (protocol !== 'udp' && protocol !== 'tcp') return null;
  const parsed = parseHostPort(rest) ?? parseHostPort(`${rest}:${protocol === 'udp' ? 514 : 601}`);
  const host = parsed === null ? null : isIP(parsed.host) === 0 ? toHostName(parsed.host) : parsed.host;
  return parsed === null || host === null || parsed.port === 0 ? null : { protocol, host, port: parsed.port };
}

/** Why no log file can be made in a folder; null where it can. Files come and go there: they are made, put aside, removed. */
async function folderFault(folder: string): Promise<string | null> {
  try {
    if (!(await stat(folder)).isDirectory()) return `${folder} is no folder`;
    await access(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return `the folder ${folder} ${writeFault(error)}`;
  }
}

/** Why lines cannot be appended to a file; null where they can, and where there is none yet. */
async function fileFault(file: string): Promise<string | null> {
  try {
    const stats = await stat(file);
    if (!stats.isFile()) return `${file} ${stats.isDirectory() ? 'is a folder' : 'is not a regular file'}`;
    await access(file, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : `the file ${file} ${writeFault(error)}`;
  }
}

function writeFault(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EROFS') return 'is on a disk that is mounted read-only';
  return code === 'EACCES' || code === 'EPERM' ? 'may not be written by this user' : faultOf(error);
}
