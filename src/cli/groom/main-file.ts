import type { GroomSection, GroomValue } from './parse.ts';
import { isSection } from './parse.ts';
import {
  BODY_BYTES,
  type Bounds,
  type Converted,
  compact,
  durationOf,
  flagOf,
  type Notes,
  noteOthers,
  numberOf,
  serviceOf,
  sizeOf,
  textOf,
  textsOf,
} from './values.ts';

const HEADERS_BYTES: Bounds = { least: 1_024, most: 1_048_576 };
const STATUS: Bounds = { least: 200, most: 999 };

/** The server's or agent's file from groom's main file. What was groom's default and is another here is written out. */
export function convertMain(groom: GroomSection, notes: Notes): Converted {
  return textOf(groom, 'mode') === 'agent' ? convertAgent(groom, notes) : convertServer(groom, notes);
}

function convertServer(groom: GroomSection, notes: Notes): Converted {
  const { listen, certificates, used } = readListen(groom, notes);
  const known = ['mode', 'listen', 'log', 'headers_size', 'idle_timeout', 'read_timeout', 'write_timeout', 'body_size'];
  noteOthers(groom, [...known, 'service', 'domains', 'unavailable', 'transaction', ...used], 'server', notes);
  return compact({
    listen: listen.length === 0 ? undefined : listen,
    certificates: certificates.length === 0 ? undefined : certificates,
    headersSize: sizeOf(groom, 'headers_size', HEADERS_BYTES),
    bodySize: sizeOf(groom, 'body_size', BODY_BYTES) ?? '8MB',
    idleTimeout: durationOf(groom, 'idle_timeout') ?? '15s',
    readTimeout: durationOf(groom, 'read_timeout'),
    writeTimeout: durationOf(groom, 'write_timeout'),
    service: serviceOf(groom),
    unavailable: numberOf(groom, 'unavailable', STATUS),
    transaction: flagOf(groom, 'transaction'),
    log: convertLog(groom.log, notes, true),
  });
}

function convertAgent(groom: GroomSection, notes: Notes): Converted {
  const known = ['mode', 'log', 'connect_timeout', 'read_timeout', 'write_timeout', 'domains'];
  noteOthers(groom, known, 'agent', notes);
  // groom waits for a target's answer for its `write_timeout`; its `read_timeout` is about the request.
  return compact({
    connectTimeout: durationOf(groom, 'connect_timeout'),
    readTimeout: durationOf(groom, 'write_timeout') ?? '20s',
    log: convertLog(groom.log, notes, false),
  });
}

/** `"address,cert,key"`, or `"address,path"` where the path within the file leads to a list of `"names cert key"`. */
function readListen(groom: GroomSection, notes: Notes) {
  const listen: string[] = [];
  const certificates: { hosts: string; cert: string; key: string }[] = [];
  const used: string[] = [];
  const lists = new Set<string>();
  for (const entry of textsOf(groom.listen)) {
    const [address = '', first = '', key] = entry.split(',').map((part) => part.trim());
    const port = /:(\d+)$/.exec(address)?.[1] ?? '443';
    const host = address.replace(/:\d+$/, '');
    listen.push(...(host === '' || host === '*' ? [`0.0.0.0:${port}`, `[::]:${port}`] : [`${host}:${port}`]));
    if (key !== undefined) certificates.push({ hosts: '*', cert: first, key });
    else certificates.push(...readCertificates(groom, first, notes));
    if (key === undefined) used.push(first.replace(/^groom\./, '').split('.')[0] ?? '');
    lists.add(`${first},${key ?? ''}`);
  }
  if (listen.length === 0) notes.push('server: it has no `listen`; here that is port 443 of all addresses');
  if (lists.size > 1) {
    notes.push(
      'server: its addresses had certificates of their own; here the list is one for all, and the first that fits wins',
    );
    // A certificate for every name would hide those behind it.
    certificates.sort((a, b) => Number(a.hosts === '*') - Number(b.hosts === '*'));
  }
  const different = new Map(certificates.map((entry) => [JSON.stringify(entry), entry]));
  return { listen: [...new Set(listen)], certificates: [...different.values()], used };
}

function readCertificates(groom: GroomSection, path: string, notes: Notes) {
  const keys = path.replace(/^groom\./, '').split('.');
  const value = keys.reduce<GroomValue | undefined>((at, key) => (isSection(at) ? at[key] : undefined), groom);
  return textsOf(value).flatMap((line) => {
    const [, hosts = '', cert = '', key = ''] = /^(\S+)\s+(\S+)\s+(\S+)$/.exec(line) ?? [];
    if (hosts === '') notes.push(`server: the certificate ${JSON.stringify(line)} was left out`);
    return hosts === '' ? [] : [{ hosts: hosts === '*' ? hosts : `/${hosts}/`, cert, key }];
  });
}

function convertLog(value: GroomValue | undefined, notes: Notes, server: boolean): Converted | undefined {
  if (!isSection(value)) return undefined;
  const access = textOf(value, 'access');
  const log = compact({
    system: destinations(textOf(value, 'system'), notes),
    access: server && access !== undefined && access !== '' ? destinations(access, notes) : undefined,
    disconnected: server ? flagOf(value, 'disconnected') : undefined,
  });
  return Object.keys(log).length === 0 ? undefined : log;
}

/** `file(path=...,time=no) syslog(facility=local4,name=x) console()`. */
function destinations(text: string | undefined, notes: Notes): unknown {
  const found = Array.from((text ?? '').matchAll(/(\w+)\(([^)]*)\)/g), ([, kind = '', list = '']) => {
    const settings = new Map(
      list.split(',').map((pair) => pair.split('=').map((part) => part.trim()) as [string, string]),
    );
    if (kind === 'file' && settings.has('path')) return { file: settings.get('path') };
    if (kind === 'syslog') {
      notes.push('log: syslog goes to udp://127.0.0.1:514, for /dev/log takes datagrams, which Node.js cannot send');
      return compact({ syslog: 'udp://127.0.0.1:514', facility: settings.get('facility'), name: settings.get('name') });
    }
    if (kind !== 'console') notes.push(`log: ${kind}(...) was left out`);
    return kind === 'console' ? 'console' : null;
  }).filter((each) => each !== null);
  return found.length === 0 ? undefined : found;
}
