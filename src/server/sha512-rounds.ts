import { hash } from 'node:crypto';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** After so many rounds what is hashed takes the same form again: 2 times 3 times 7. */
const FORMS = 42;
/** After so many rounds, about 0.6 ms of them, whoever hashes may rest. */
const ROUNDS_A_TURN = 512;

/**
 * The digest of SHA-512-crypt (https://www.akkadia.org/drepper/SHA-crypt.txt), as it ends a hash. With the runtime's own
 * SHA-512 it takes a tenth of the time that JavaScript does: every check that a stranger asks for costs that much less.
 * `rest` is called every now and then.
 */
export function sha512CryptDigest(secret: Buffer, salt: Buffer, rounds: number, rest: () => void): string {
  const mixed = sha512(secret, salt, secret);
  const bits = Array.from({ length: bitLength(secret.length) }, (_, i) => (secret.length >> i) & 1);
  const first = sha512(secret, salt, cycled(mixed, secret.length), ...bits.map((bit) => (bit === 1 ? mixed : secret)));
  const secretPart = cycled(sha512(...new Array<Buffer>(secret.length).fill(secret)), secret.length);
  const saltPart = cycled(sha512(...new Array<Buffer>(16 + (first[0] ?? 0)).fill(salt)), salt.length);
  const forms = Array.from({ length: FORMS }, (_, i) => formOf(i, secretPart, saltPart));
  // As text, of a byte a character: a buffer for each round would take the collector more time than the rounds take.
  let digest = first.toString('latin1');
  for (let round = 0; round < rounds; round += 1) {
    const { text, digestAt } = forms[round % FORMS] as Form;
    text.write(digest, digestAt, 'latin1');
    digest = hash('sha512', text, 'binary');
    if (round % ROUNDS_A_TURN === ROUNDS_A_TURN - 1) rest();
  }
  return encode(Buffer.from(digest, 'latin1'));
}

/** What one of the rounds hashes, with room for the digest of the one before. */
interface Form {
  readonly text: Buffer;
  readonly digestAt: number;
}

function formOf(round: number, secret: Buffer, salt: Buffer): Form {
  const room = Buffer.alloc(64);
  const isOdd = round % 2 === 1;
  const between = [...(round % 3 === 0 ? [] : [salt]), ...(round % 7 === 0 ? [] : [secret])];
  const text = Buffer.concat(isOdd ? [secret, ...between, room] : [room, ...between, secret]);
  return { text, digestAt: isOdd ? text.length - room.length : 0 };
}

function sha512(...parts: readonly Buffer[]): Buffer {
  return hash('sha512', parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts), 'buffer');
}

/** The bytes of `digest`, over and over, to a length. */
function cycled(digest: Buffer, length: number): Buffer {
  return Buffer.alloc(length, digest);
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value);
}

/** Three bytes of the digest, far apart, make four letters; the last one makes two. */
function encode(digest: Buffer): string {
  let text = '';
  let places: readonly [number, number, number] = [0, 21, 42];
  for (let i = 0; i < 21; i += 1) {
    const [a, b, c] = places;
    text += letters(((digest[a] ?? 0) << 16) | ((digest[b] ?? 0) << 8) | (digest[c] ?? 0), 4);
    places = [b + 1, c + 1, a + 1];
  }
  return text + letters(digest[63] ?? 0, 2);
}

function letters(value: number, count: number): string {
  return Array.from({ length: count }, (_, i) => ALPHABET.charAt((value >> (6 * i)) & 63)).join('');
}
