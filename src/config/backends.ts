import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { SocketAddress } from '../core/address.ts';
import type { SniOptions } from '../server/options.ts';
import { flag, mismatch, pathText } from './fields.ts';
import { faultOf } from './read-file.ts';
import type { Keys, Section } from './section.ts';
import { parseTarget } from './target.ts';

const ALLOWED = '"http://host:port", "tcp://host:port", "unix:/path", "host:port" or a port';

const SNI_SCHEMA = z.strictObject({ hosts: pathText(), hashed: flag() });

/** The keys of `sni` in a server's file. */
export const SNI_KEYS = { schema: SNI_SCHEMA, notYet: [], required: ['hosts'] } satisfies Keys<typeof SNI_SCHEMA>;

/** Reads `target` of a server's domain file; null where there is none, or it is wrong. */
export function readBackend(section: Section | null, folder: string): SocketAddress | null {
  if (section === null) return null;
  const target = parseTarget(section.value, folder);
  if (target === null) section.problem(mismatch(section.value, ALLOWED));
  else if (target.kind === 'https') {
    section.problem(`${mismatch(section.value, ALLOWED)}; TLS reaches it with \`tls: "passthrough"\``);
  } else return target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port };
  return null;
}

/** Reads `sni`; null where it is not there, or wrong. */
export function readSni(section: Section | null, folder: string): SniOptions | null {
  const { hosts: given, hashed = false } = section?.read(SNI_KEYS) ?? {};
  if (section === null || given === undefined) return null;
  const hosts = resolve(folder, given);
  const fault = folderFault(hosts);
  if (fault !== null) section.problem(`the folder of hosts ${hosts} ${fault}`, ['hosts']);
  return { hosts, hashed };
}

function folderFault(path: string): string | null {
  try {
    return statSync(path).isDirectory() ? null : 'is no folder';
  } catch (error) {
    return faultOf(error);
  }
}
