import type { CommandModule } from 'yargs';
import { makeSecret } from '../../config/domain-file.ts';
import { BackdialError } from '../../core/errors.ts';
import { DEFAULT_ROUNDS, GOOD_SECRET_BYTES, isWeakSecret, secretFault } from '../../core/secret-rules.ts';
import { hashSecret } from '../../server/sha512-crypt.ts';

interface PasswordArguments {
  readonly secret?: string;
  readonly salt?: string;
  readonly rounds?: number;
}

/** `backdial password [SECRET]`: the SHA-512-crypt hash of a secret, or of a new one that is printed before it. */
export const passwordCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('secret', { type: 'string', describe: 'Default: a new one, printed above its hash' })
      .option('salt', { type: 'string', requiresArg: true, describe: '8 to 16 of ./0-9A-Za-z (default: random)' })
      .option('rounds', { type: 'number', requiresArg: true, describe: `1000 to 100000 (default: ${DEFAULT_ROUNDS})` })
      // A secret of digits is a text, too.
      .string(['secret', 'salt']),
  handler: (flags) => printHash(flags as PasswordArguments),
};

function printHash({ secret, salt, rounds }: PasswordArguments): void {
  const made = secret === undefined ? makeSecret().reveal() : null;
  const text = made ?? secret ?? '';
  const fault = secretFault(text);
  if (fault !== null) throw new BackdialError('input-invalid', `the secret ${fault}`);
  const options = { ...(salt === undefined ? {} : { salt }), ...(rounds === undefined ? {} : { rounds }) };
  const hash = hashSecret(text, options);
  if (isWeakSecret(text)) {
    process.stderr.write(`backdial: warning: the secret is short; ${GOOD_SECRET_BYTES} bytes or more are advised\n`);
  }
  process.stdout.write(made === null ? `${hash}\n` : `${made}\n${hash}\n`);
}
