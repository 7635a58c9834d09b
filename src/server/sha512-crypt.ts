import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sha512 } from 'sha512-crypt-ts';
import { BackdialError } from '../core/errors.ts';
import { DEFAULT_ROUNDS, MAX_ROUNDS, MAX_SECRET_BYTES, MIN_ROUNDS } from '../core/secret-rules.ts';
import { sha512CryptDigest } from './sha512-rounds.ts';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** How to hash: both default as `mkpasswd -m sha-512` does. */
export interface HashOptions {
  /** 8 to 16 characters of `./0-9A-Za-z`. Default: 16 random ones. */
  readonly salt?: string;
  /** 1,000 to 100,000. Default: 5,000, which the hash then does not name. */
  readonly rounds?: number;
}

/**
 * SHA-512-crypt of a secret, as `mkpasswd -m sha-512` and `openssl passwd -6` make it: `$6$[rounds=N$]salt$digest`.
 * Blocks the thread for about 60 ms each 5,000 rounds. Fails with `input-invalid`.
 */
export function hashSecret(secret: string, options: HashOptions = {}): string {
  const salt = options.salt ?? randomSalt();
  if (!/^[./0-9A-Za-z]{8,16}$/.test(salt)) {
    throw new BackdialError('input-invalid', 'a salt has 8 to 16 characters of ./0-9A-Za-z');
  }
  const { rounds } = options;
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= MIN_ROUNDS && rounds <= MAX_ROUNDS)) {
    throw new BackdialError('input-invalid', `rounds are a whole number from ${MIN_ROUNDS} to ${MAX_ROUNDS}`);
  }
  return crypt(secret, rounds === undefined ? `$6$${salt}` : `$6$rounds=${rounds}$${salt}`);
}

/**
 * True when `candidate` is the secret of `hash`, which is well-formed but may have any number of rounds. Blocks the thread for
 * about 6 ms each 5,000 rounds, and for what `rest` takes, which is called ten times meanwhile.
 */
export function verifyHash(candidate: string, hash: string, rest = goOn): boolean {
  const [, rounds, salt = '', digest = ''] = /^\$6\$(?:rounds=(\d+)\$)?([^$]*)\$(.*)$/.exec(hash) ?? [];
  const made = sha512CryptDigest(bytesOf(candidate), Buffer.from(salt), Number(rounds ?? DEFAULT_ROUNDS), rest);
  const given = Buffer.from(digest);
  return made.length === given.length && timingSafeEqual(Buffer.from(made), given);
}

function goOn(): void {}

function crypt(secret: string, setting: string): string {
  // The library hashes one byte a character, so it is given UTF-8 that way.
  return sha512.crypt(bytesOf(secret).toString('latin1'), setting);
}

function bytesOf(secret: string): Buffer {
  const bytes = Buffer.from(secret, 'utf8');
  // The time is quadratic in the length of the secret.
  if (bytes.length > MAX_SECRET_BYTES) throw new BackdialError('input-invalid', 'the secret is too long');
  return bytes;
}

function randomSalt(): string {
  return Array.from(randomBytes(16), (byte) => ALPHABET.charAt(byte & 63)).join('');
}
