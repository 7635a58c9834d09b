import { resolve } from 'node:path';
import { Secret } from '../core/secret.ts';
import {
  GOOD_SECRET_BYTES,
  isSecretHash,
  isWeakSecret,
  MAX_ROUNDS,
  MIN_ROUNDS,
  parseSecretHash,
  secretFault,
} from '../core/secret-rules.ts';
import { withAdvice } from './advice.ts';
import type { Section } from './section.ts';

/** Secrets that may let agents into one domain; each hash among them costs CPU at every refusal. */
const MAX_SECRETS = 10;

/** How secrets are read. */
export interface SecretRules {
  /** The folder of the file that has them, for `@file`. */
  readonly folder: string;
  /** Whether a SHA-512-crypt hash will do: to check an agent's secret it does, to show one it does not. */
  readonly hashes: boolean;
}

/**
 * Reads `secret`: plain, `$6$...`, `@file`, or a list of these; none, or an empty text, gives an empty list. What is wrong
 * is a problem of its own place; no message quotes a secret.
 */
export async function readSecrets(section: Section | null, rules: SecretRules): Promise<Secret[]> {
  if (section === null || section.value === '') return [];
  const items = section.items();
  if (items.length > MAX_SECRETS) {
    section.problem(`found ${items.length} secrets; at most ${MAX_SECRETS} are allowed`);
    return [];
  }
  const secrets: Secret[] = [];
  for (const item of items) {
    const secret = await readSecret(item, rules);
    if (secret !== null) secrets.push(secret);
  }
  return secrets;
}

async function readSecret(section: Section, rules: SecretRules): Promise<Secret | null> {
  const kinds = rules.hashes ? 'a text, a "$6$..." hash or "@file"' : 'a text or "@file"';
  const given = await readGiven(section, rules.folder, { what: 'the secret', kinds });
  if (given === null) return null;
  const secret = checkSecret(section, given, rules);
  if (secret !== null && !isSecretHash(given.text) && isWeakSecret(given.text)) {
    section.warn(`${given.what} is short; ${GOOD_SECRET_BYTES} bytes or more are advised`);
  }
  return secret;
}

/** A text that must not be shown, and what it is called in messages. */
export interface GivenText {
  readonly text: string;
  readonly what: string;
}

/**
 * Reads a text that is there itself, or in the file that `@file` names (without the trailing newline); null after a
 * problem. Others' access to the file is warned about. `kinds` is what is allowed, for a value that is no text.
 */
export async function readGiven(
  section: Section,
  folder: string,
  { what, kinds }: { readonly what: string; readonly kinds: string },
): Promise<GivenText | null> {
  const { value } = section;
  if (typeof value !== 'string') {
    section.problem(`found ${Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`}; allowed: ${kinds}`);
    return null;
  }
  if (!value.startsWith('@')) return { text: value, what };
  const name = value.slice(1);
  if (name === '' || name.includes('\0')) {
    section.problem('found no file name after @; allowed: "@file"');
    return null;
  }
  const file = resolve(folder, name);
  const read = await section.readFile(file);
  if (!read.ok) {
    section.problem(`${what}'s file ${file} ${withAdvice(file, read, 'write it there, and nothing else')}`);
    return null;
  }
  if (read.open) section.warn(`others may read ${what}'s file ${file}; chmod 600 it`);
  return { text: read.text.replace(/\r?\n$/, ''), what: `${what} in ${file}` };
}

/** A secret, plain or (where `hashes` is set) a SHA-512-crypt hash; null after a problem. */
export function checkSecret(
  section: Section,
  { text, what }: GivenText,
  rules: Pick<SecretRules, 'hashes'>,
): Secret | null {
  const fault = isSecretHash(text) ? hashFault(text, rules) : secretFault(text);
  if (fault === null) return new Secret(text);
  section.problem(`${what} ${fault}`);
  return null;
}

function hashFault(text: string, rules: Pick<SecretRules, 'hashes'>): string | null {
  if (!rules.hashes) return 'is a hash; an agent needs the secret itself';
  if (parseSecretHash(text) !== null) return null;
  return (
    'is not a SHA-512-crypt hash that can be checked; allowed: $6$salt$digest or $6$rounds=N$salt$digest, ' +
    `with a salt of 8 to 16 characters and ${MIN_ROUNDS} to ${MAX_ROUNDS} rounds (\`backdial password\` makes one)`
  );
}
