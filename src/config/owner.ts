import { readFileSync } from 'node:fs';
import type { SocketOwner } from '../core/address.ts';
import type { Section } from './section.ts';

const MAX_ID = 4_294_967_294;

/**
 * Who is to own a socket: `user`, `user:group`, `:group`, each a name or a number. A user alone leaves the group as it is. Null
 * after a problem. Names are looked up in /etc/passwd and /etc/group alone.
 */
export function readOwner(given: string, section: Section): SocketOwner | null {
  const [user = '', group = '', ...rest] = given.split(':');
  if (rest.length > 0 || given === '' || given === ':') {
    section.problem(`found ${JSON.stringify(given)}; allowed: "user", "user:group" or ":group", names or numbers`);
    return null;
  }
  const uid = user === '' ? null : idOf(user, '/etc/passwd');
  const gid = group === '' ? null : idOf(group, '/etc/group');
  if (uid === undefined) section.problem(unknown('user', user, '/etc/passwd'));
  if (gid === undefined) section.problem(unknown('group', group, '/etc/group'));
  return uid === undefined || gid === undefined ? null : { uid, gid };
}

function unknown(kind: string, name: string, file: string): string {
  return `found the ${kind} ${JSON.stringify(name)}, which is not in ${file}; allowed: one of that file, or a number`;
}

function idOf(name: string, file: string): number | undefined {
  if (/^\d{1,10}$/.test(name)) return Number(name) <= MAX_ID ? Number(name) : undefined;
  try {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((each) => each.startsWith(`${name}:`));
    const id = line?.split(':')[2];
    return id === undefined ? undefined : Number(id);
  } catch {
    return undefined;
  }
}
