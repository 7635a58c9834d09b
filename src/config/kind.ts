import { basename } from 'node:path';
import { AGENT_KEYS } from './agent-keys.ts';
import { Findings } from './findings.ts';
import { isObject } from './section.ts';
import { serverKeys } from './server-keys.ts';
import { openSource } from './source.ts';

/** Whose file it is. */
export type ConfigKind = 'server' | 'agent';

/**
 * A file with `listen` is a server's (design 6.2). Without it, the keys that only one of the two has decide, then the
 * file's name; a file that cannot be read or parsed is an agent's unless its name says otherwise.
 */
export async function kindOf(file: string): Promise<ConfigKind> {
  const value = (await openSource(file, new Findings()))?.value;
  const keys = isObject(value) ? Object.keys(value) : [];
  if (keys.includes('listen')) return 'server';
  const agents = [...Object.keys(AGENT_KEYS.schema.shape), ...AGENT_KEYS.notYet];
  const server = serverKeys('/');
  const servers = [...Object.keys(server.schema.shape), ...server.notYet];
  if (keys.some((key) => agents.includes(key) && !servers.includes(key))) return 'agent';
  if (keys.some((key) => servers.includes(key) && !agents.includes(key))) return 'server';
  return basename(file).startsWith('server') ? 'server' : 'agent';
}
