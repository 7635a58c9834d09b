import type { TargetAddress } from '../agent/options.ts';
import { unixHint } from '../config/addresses.ts';
import { parseTarget, TARGET_ALLOWED } from '../config/target.ts';
import { formatAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';

/** TARGET of the command line; paths of sockets are relative to the current folder. Fails with `input-invalid`. */
export function targetArgument(text: string): TargetAddress {
  const target = parseTarget(text, process.cwd());
  if (target !== null) return target;
  throw new BackdialError(
    'input-invalid',
    `the target \`${withoutLogin(text)}\`; allowed: ${TARGET_ALLOWED}${unixHint(text)}`,
  );
}

/** An address of the command line as it may be shown: a URL may hold credentials. */
export function withoutLogin(text: string): string {
  return text.replace(/(^|\/\/)[^/]*@/, '$1[redacted]@');
}

/** A target as people write it. */
export function targetText(target: TargetAddress): string {
  return target.kind === 'https' ? `https://${formatAddress(target)}` : formatAddress(target);
}
