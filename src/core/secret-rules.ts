/** Longest secret, bytes of UTF-8. */
export const MAX_SECRET_BYTES = 128;
/** A shorter secret is allowed, and warned about, bytes of UTF-8. */
export const GOOD_SECRET_BYTES = 16;
/** Rounds of SHA-512-crypt when a hash names none. */
export const DEFAULT_ROUNDS = 5_000;
/** Fewest rounds that SHA-512-crypt has. */
export const MIN_ROUNDS = 1_000;
/** Most rounds that are accepted: about 0.1 s of one core for each check. */
export const MAX_ROUNDS = 100_000;

/** A SHA-512-crypt hash taken apart. */
export interface SecretHash {
  /** {@link DEFAULT_ROUNDS} when the hash names none. */
  readonly rounds: number;
  /** 8 to 16 characters of `./0-9A-Za-z`. */
  readonly salt: string;
}

/** True for what is meant as a SHA-512-crypt hash, well-formed or not: no plain secret begins like this. */
export function isSecretHash(text: string): boolean {
  return text.startsWith('$6$');
}

/** Reads `$6$[rounds=N$]salt$digest`. Null when it is malformed or its rounds are not between the limits. */
export function parseSecretHash(text: string): SecretHash | null {
  const match = /^\$6\$(?:rounds=([1-9]\d{3,8})\$)?([./0-9A-Za-z]{8,16})\$[./0-9A-Za-z]{86}$/.exec(text);
  if (match === null) return null;
  const rounds = match[1] === undefined ? DEFAULT_ROUNDS : Number(match[1]);
  return rounds > MAX_ROUNDS ? null : { rounds, salt: match[2] ?? '' };
}

/**
 * What is wrong with a plain secret, as the end of a sentence that begins with it; null when nothing is. It never
 * quotes the secret.
 */
export function secretFault(secret: string): string | null {
  const bytes = Buffer.byteLength(secret, 'utf8');
  if (bytes === 0) return 'is empty';
  if (bytes > MAX_SECRET_BYTES) return `has ${bytes} bytes; at most ${MAX_SECRET_BYTES} are allowed`;
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]/u.test(secret)) return 'has characters that cannot be printed';
  // It travels at the end of a header, whose outer blanks are not part of the value.
  if (/^\s|\s$/u.test(secret)) return 'begins or ends with a blank';
  return null;
}

/** True for a secret that is allowed but shorter than it should be. */
export function isWeakSecret(secret: string): boolean {
  return Buffer.byteLength(secret, 'utf8') < GOOD_SECRET_BYTES;
}
