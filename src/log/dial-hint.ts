import type { ErrorCode } from '../core/errors.ts';

const FIND_OUT = '`backdial doctor` finds out more';

/** What to do about a dial that failed, by why it did. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  'handshake-refused':
    'the server tells why to its own log only: the secret, the domain (unknown there, or not active), or where this agent ' +
    `comes from; ${FIND_OUT}`,
  'server-unreachable': `is the server running, is the port right, does a firewall let it through? ${FIND_OUT}`,
  'server-unresolved': `is the name in \`remote\` right? ${FIND_OUT}`,
  'server-certificate': `is \`pin\` or \`ca\` that of the server, is the clock of this machine right? ${FIND_OUT}`,
  'server-tls': FIND_OUT,
};

/** A hint behind the first of several failures in a row; empty for the later ones. */
export function dialHint(reason: ErrorCode, attempt: number): string {
  const hint = attempt === 1 ? HINTS[reason] : undefined;
  return hint === undefined ? '' : ` (${hint})`;
}
