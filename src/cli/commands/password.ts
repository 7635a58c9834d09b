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

/** How long without `--stdin` is waited for what is piped in, ms. */
const PATIENCE_MS = 1_000;

/**
 * `backdial password [SECRET]`: the SHA-512-crypt hash of a secret, which may be piped in, too, or of a new one that is printed before
 * it.
 */
export const passwordCommand: CommandModule = {
  builder: (parser) =>
    parser
      .positional('secret', {
        type: 'string',
        describe: 'Default: what is piped in, else a new one, printed above its hash',
      })
      .option('stdin', { type: 'boolean', describe: 'Wait for the secret on standard input, however long it takes' })
      .conflicts('stdin', 'secret')
      .option('salt', { type: 'string', requiresArg: true, describe: '8 to 16 of ./0-9A-Za-z (default: random)' })
      .option('rounds', { type: 'number', requiresArg: true, describe: `1000 to 100000 (default: ${DEFAULT_ROUNDS})` })
      // A secret of digits is a text, too.
      .string(['secret', 'salt']),
  handler: (flags) => printHash(flags as PasswordArguments),
};

async function printHash({ secret, salt, rounds, stdin = false }: PasswordArguments): Promise<void> {
  const given = secret ?? (await readSecret(stdin));
  const text = given ?? makeSecret().reveal();
  const fault = secretFault(text);
  if (fault !== null)
    throw new BackdialError('input-invalid', `the secret ${given === secret ? '' : 'on standard input '}${fault}`);
  const options = { ...(salt === undefined ? {} : { salt }), ...(rounds === undefined ? {} : { rounds }) };
  const hash = hashSecret(text, options);
  if (isWeakSecret(text)) warn(`the secret is short; ${GOOD_SECRET_BYTES} bytes or more are advised`);
  process.stdout.write(given === null ? `${text}\n${hash}\n` : `${hash}\n`);
}

/** What stands on standard input; null where nothing does and nobody said that something would. */
async function readSecret(isCertain: boolean): Promise<string | null> {
  if (!isCertain && !isInputPiped()) return null;
  const patienceMs = isCertain ? null : PATIENCE_MS;
  const text = await readPipedText({ maxBytes: MAX_SECRET_BYTES, patienceMs });
  if (text === null) {
    warn(`nothing came through standard input within ${PATIENCE_MS} ms: a new secret is made; --stdin waits for one`);
  }
  return text === '' && !isCertain ? null : text;
}

function warn(text: string): void {
  process.stderr.write(`backdial: warning: ${text}\n`);
}
