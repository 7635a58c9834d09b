import type { CommandModule } from 'yargs';
import { makeSecret } from '../../config/domain-file.ts';
import { BackdialError } from '../../core/errors.ts';
import {
  DEFAULT_ROUNDS,
  GOOD_SECRET_BYTES,
  isWeakSecret,
  MAX_SECRET_BYTES,
  secretFault,
} from '../../core/secret-rules.ts';
import { hashSecret } from '../../server/sha512-crypt.ts';
import { isInputPiped, readPipedText } from '../piped-text.ts';

interface PasswordArguments {
  readonly secret?: string;
  readonly salt?: string;
  readonly rounds?: number;
  readonly stdin?: boolean;
}

/** `backdial password [SECRET]`: the SHA-512-crypt hash of a secret, or of a new one that is printed before it. */
export const passwordCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('secret', {
        type: 'string',
        describe: 'Default: a new one, printed above its hash',
      })
      .option('stdin', { type: 'boolean', describe: 'Hash what comes through standard input' })
      .conflicts('stdin', 'secret')
      .option('salt', { type: 'string', requiresArg: true, describe: '8 to 16 of ./0-9A-Za-z (default: random)' })
      .option('rounds', { type: 'number', requiresArg: true, describe: `1000 to 100000 (default: ${DEFAULT_ROUNDS})` })
      // A secret of digits is a text, too.
      .string(['secret', 'salt']),
  handler: (flags) => printHash(flags as PasswordArguments),
};

async function printHash({ secret, salt, rounds, stdin = false }: PasswordArguments): Promise<void> {
  const given = stdin ? await readPipedText(MAX_SECRET_BYTES) : secret;
  const text = given ?? makeSecret().reveal();
  // What could not be decoded would be hashed as something else.
  const fault = secretFault(text) ?? (text.includes('\ufffd') ? 'is not UTF-8' : null);
  if (fault !== null)
    throw new BackdialError('input-invalid', `the secret ${stdin ? 'on standard input ' : ''}${fault}`);
  const options = { ...(salt === undefined ? {} : { salt }), ...(rounds === undefined ? {} : { rounds }) };
  const hash = hashSecret(text, options);
  if (isWeakSecret(text)) warn(`the secret is short; ${GOOD_SECRET_BYTES} bytes or more are advised`);
  // It is not read unasked: in a script that a shell reads from there it is the rest of the script.
  if (given === undefined && isInputPiped()) warn('a new secret was made; --stdin hashes what is piped in');
  process.stdout.write(given === undefined ? `${text}\n${hash}\n` : `${hash}\n`);
}

function warn(text: string): void {
  process.stderr.write(`backdial: warning: ${text}\n`);
}
