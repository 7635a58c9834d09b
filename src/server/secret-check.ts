import { createHmac, randomBytes } from 'node:crypto';
import { BackdialError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { isSecretHash, MIN_ROUNDS, parseSecretHash, secretFault } from '../core/secret-rules.ts';
import { neighbourhoodOf } from './fair-queue.ts';
import { HashVerifier } from './hash-verifier.ts';

/** Verified pairs of secret and hash that are remembered; the least recently used one goes first. */
const MAX_REMEMBERED = 10_000;
/** A hash that nothing fits: its digest is none that SHA-512-crypt can end with. */
const PADDING_TAIL = `$backdialpadding$${'z'.repeat(86)}`;

/** Decides whether an agent's secret is one of a domain's. */
export interface SecretChecker {
  /**
   * True when `candidate` is one of `secrets`, each plain or a SHA-512-crypt hash. An empty list (no such domain) is
   * refused like any other: a refusal takes as long as checking the costliest list of hashes seen so far, whichever list was
   * asked about, and no time worth speaking of while no list has a hash. A hash that was verified once costs nothing.
   *
   * Rejects with `connection-limit` when too many checks wait already, most of them of the same neighbourhood; with `internal`
   * after `close()`.
   */
  check(candidate: string, secrets: readonly Secret[], about?: CheckOptions): Promise<boolean>;
  /** As {@link check}, but hashes nothing: a secret whose hash was not verified before is refused, whether or not it fits. */
  recalls(candidate: string, secrets: readonly Secret[]): boolean;
  /** Tells of lists that it will be asked about, so that refusals take as long as theirs from now on. */
  expect(lists: Iterable<readonly Secret[]>): void;
  /** Ends the worker thread; what still waits is rejected. */
  close(): void;
}

/** What is known of one check. */
export interface CheckOptions {
  /**
   * How long a refusal takes instead, in rounds of SHA-512-crypt: for who may know which list is asked about, but not which of
   * some lists.
   */
  readonly refusalRounds?: number | undefined;
  /** Address of who shows the secret: those of one neighbourhood share a turn. Default: of nobody in particular. */
  readonly from?: string | null;
}

/** What is compared with where there is no hash: it takes the time of one. */
const NO_HASHES = [PADDING_TAIL];

/** What a checker may know beforehand. */
export interface SecretCheckerOptions {
  /** The lists that it will be asked about, so that its first refusal takes as long as every later one. Default none. */
  readonly lists?: Iterable<readonly Secret[]>;
  /** Checks of hashes that may wait at the same time: with 5,000 rounds each, a hundred wait for less than a second. Default 100. */
  readonly maxWaiting?: number;
}

/** A checker of its own memory and worker thread; the thread starts with the first hash that must be checked. */
export function createSecretChecker(options: SecretCheckerOptions = {}): SecretChecker {
  // Of this process only: what is remembered is worth nothing to who reads it in a core dump of another run.
  const key = randomBytes(32);
  const remembered = new Map<string, true>();
  const underWay = new Map<string, Promise<string | null>>();
  const verifier = new HashVerifier(options.maxWaiting ?? 100);
  let costliest = 0;
  const expect = (lists: Iterable<readonly Secret[]>): void => {
    for (const list of lists) costliest = Math.max(costliest, roundsOf(list));
  };
  expect(options.lists ?? []);

  const digest = (...parts: string[]) => createHmac('sha256', key).update(parts.join('\0'), 'utf8').digest('base64');

  const isRemembered = (id: string): boolean => {
    if (!remembered.delete(id)) return false;
    remembered.set(id, true);
    return true;
  };

  const remember = (id: string): void => {
    remembered.set(id, true);
    const [oldest] = remembered.keys();
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  };

  const verify = (candidate: string, hashes: readonly string[], sender: string): Promise<string | null> => {
    const flight = digest(candidate, ...hashes);
    const running = underWay.get(flight);
    if (running !== undefined) return running;
    const started = verifier.verify(candidate, hashes, sender).finally(() => underWay.delete(flight));
    underWay.set(flight, started);
    return started;
  };

  const recalls = (candidate: string, secrets: readonly Secret[]): boolean => {
    const fits = secrets.filter((secret) => !isSecretHash(secret.reveal()) && secret.equals(candidate)).length > 0;
    const hashes = hashesOf(secrets);
    const isKnown = (hashes.length === 0 ? NO_HASHES : hashes).some((hash) => isRemembered(digest(candidate, hash)));
    return secretFault(candidate) === null && (fits || isKnown);
  };

  return {
    async check(candidate, secrets, { refusalRounds, from = null } = {}) {
      const hashes = hashesOf(secrets);
      const rounds = roundsOf(secrets);
      if (refusalRounds === undefined) costliest = Math.max(costliest, rounds);
      const wanted = refusalRounds ?? costliest;
      // What is wrong with the candidate itself is no secret of ours: it may be told in no time.
      if (secretFault(candidate) !== null) return false;
      if (recalls(candidate, secrets)) return true;
      if (wanted === 0 && hashes.length === 0) return false;
      const missing = wanted - rounds;
      const work = missing >= MIN_ROUNDS ? [...hashes, `$6$rounds=${missing}${PADDING_TAIL}`] : hashes;
      const match = await verify(candidate, work, neighbourhoodOf(from));
      if (match === null) return false;
      remember(digest(candidate, match));
      return true;
    },
    recalls,
    expect,
    close: () => verifier.close(new BackdialError('internal', 'the server is closing')),
  };
}

function hashesOf(secrets: readonly Secret[]): string[] {
  // A malformed hash fits nothing.
  return secrets.map((secret) => secret.reveal()).filter((text) => parseSecretHash(text) !== null);
}

/** What checking a list costs: the rounds of its SHA-512-crypt hashes, all together. */
export function roundsOf(secrets: readonly Secret[]): number {
  return hashesOf(secrets).reduce((sum, hash) => sum + (parseSecretHash(hash)?.rounds ?? 0), 0);
}
