import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { ResolvedTarget } from './resolve-routes.ts';

/** How long a target that failed is avoided at first, and at most, ms; it doubles from one failure to the next. */
const FIRST_WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;
/** One stream or exchange tries no further target after this long, ms: each may take the whole time-out. */
const TRYING_MS = 2_000;

/** One target of a group. */
export interface GroupMember {
  readonly target: ResolvedTarget;
}

interface Member extends GroupMember {
  readonly weight: number;
  /** Of smooth weighted round robin. */
  current: number;
  failures: number;
  /** By `performance.now()`; when it may be tried again. 0: it is well. */
  avoidUntil: number;
  /** When the first of these failures was. */
  failedAt: number;
  /** Being tried again, by one only. */
  probing: boolean;
}

/** What a group tells of. */
export interface GroupListener {
  /** A member of several does not accept connections any more, and is avoided until it does. */
  memberOnFail(target: ResolvedTarget, error: BackdialError): void;
  /** It does again. */
  memberOnReturn(target: ResolvedTarget, awayMs: number): void;
}

/**
 * Targets that share a load by their weights. One that does not accept a connection is avoided, then tried again by one
 * stream or exchange alone; where all fail, they are tried nonetheless.
 */
export class TargetGroup {
  readonly #members: readonly Member[];
  readonly #listener: GroupListener;

  constructor(
    targets: readonly { readonly target: ResolvedTarget; readonly weight: number }[],
    listener: GroupListener,
  ) {
    this.#listener = listener;
    this.#members = targets.map(({ target, weight }) => ({
      target,
      weight,
      current: 0,
      failures: 0,
      avoidUntil: 0,
      failedAt: 0,
      probing: false,
    }));
  }

  get members(): readonly GroupMember[] {
    return this.#members;
  }

  /**
   * What `open` gives for the next member; for another one where that fails. Fails with the last error, or, once `signal` is
   * aborted, with its reason.
   */
  async open<T>(open: (member: GroupMember) => Promise<T>, signal: AbortSignal): Promise<T> {
    const tried = new Set<Member>();
    const began = performance.now();
    for (;;) {
      const member = this.#next(tried);
      tried.add(member);
      try {
        const opened = await open(member);
        this.#succeeded(member);
        return opened;
      } catch (thrown) {
        member.probing = false;
        signal.throwIfAborted();
        this.#failed(member, asBackdialError(thrown, 'internal'));
        if (tried.size >= this.#members.length || performance.now() - began > TRYING_MS) throw thrown;
      }
    }
  }

  #next(tried: ReadonlySet<Member>): Member {
    const left = this.#members.filter((member) => !tried.has(member));
    const now = performance.now();
    const well = left.filter(({ avoidUntil, probing }) => avoidUntil <= now && !probing);
    // Better one that failed than nobody; the one that has waited longest.
    const member = well.length > 0 ? heaviest(well) : left.toSorted((a, b) => a.avoidUntil - b.avoidUntil)[0];
    if (member === undefined) throw new BackdialError('internal', 'a group without targets');
    member.probing = member.avoidUntil > 0;
    return member;
  }

  #succeeded(member: Member): void {
    const isBack = member.failures > 0 && this.#members.length > 1;
    member.failures = 0;
    member.avoidUntil = 0;
    member.probing = false;
    if (isBack) this.#listener.memberOnReturn(member.target, Math.round(performance.now() - member.failedAt));
  }

  #failed(member: Member, error: BackdialError): void {
    // Those that were tried at the same time say nothing more: a hundred of them are one failure.
    if (member.avoidUntil > performance.now()) return;
    const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** member.failures);
    member.failures += 1;
    if (member.failures === 1) member.failedAt = performance.now();
    member.avoidUntil = performance.now() + waitMs;
    if (member.failures === 1 && this.#members.length > 1) this.#listener.memberOnFail(member.target, error);
  }
}

/** Smooth weighted round robin: weights 2 and 1 give a, b, a. */
function heaviest(members: readonly Member[]): Member | undefined {
  let total = 0;
  let best: Member | undefined;
  for (const member of members) {
    member.current += member.weight;
    total += member.weight;
    if (best === undefined || member.current > best.current) best = member;
  }
  if (best !== undefined) best.current -= total;
  return best;
}
