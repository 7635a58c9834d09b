import { randomBytes } from 'node:crypto';
import { Secret } from '../core/secret.ts';
import type { CredentialOptions } from './options.ts';
import { roundsOf, type SecretChecker } from './secret-check.ts';

/** Longest Authorization that is looked at, characters: more than the longest login and password make in Base64. */
const MAX_LENGTH = 512;

/** What a visitor says to be. */
export interface Login {
  readonly login: string;
  readonly password: string;
}

/** The login of an Authorization field (RFC 7617, UTF-8); null where it holds none. */
export function parseBasic(authorization: string): Login | null {
  if (authorization.length > MAX_LENGTH) return null;
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(authorization)?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { login: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The logins of one domain. */
export class CredentialTable {
  readonly #passwords = new Map<string, readonly Secret[]>();
  /** What the password of an unknown login is compared with: nothing fits it. */
  readonly #unknown = [new Secret(randomBytes(32).toString('base64'))];
  readonly #secrets: Pick<SecretChecker, 'check'>;
  /** Of the login whose passwords cost most to check. */
  readonly #rounds: number;

  constructor(credentials: readonly CredentialOptions[], secrets: Pick<SecretChecker, 'check'>) {
    this.#secrets = secrets;
    for (const { login, password } of credentials) {
      this.#passwords.set(login, [...(this.#passwords.get(login) ?? []), password]);
    }
    this.#rounds = Array.from(this.#passwords.values(), roundsOf).reduce((most, rounds) => Math.max(most, rounds), 0);
  }

  /** True for a login with one of its passwords. An unknown login takes as long as any wrong password. `from`: the visitor's address. Rejects as the check does. */
  check({ login, password }: Login, from: string | null): Promise<boolean> {
    const passwords = this.#passwords.get(login) ?? this.#unknown;
    return this.#secrets.check(password, passwords, { refusalRounds: this.#rounds, from });
  }
}
