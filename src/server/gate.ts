import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { peerAddress } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { TunnelInfo } from '../core/events.ts';
import type { TunnelRegistry } from '../registry/registry.ts';
import type { MemoryBudget } from '../tunnel/memory-budget.ts';
import { answerHandshake, type HandshakeRequest, readHandshake } from '../tunnel/server-handshake.ts';
import { ServerTunnel } from '../tunnel/server-session.ts';
import type { LivenessOptions } from '../tunnel/types.ts';
import { type Asker, chainOf, proofOf } from './agent-certificate.ts';
import { CertificateEnds } from './certificate-ends.ts';
import type { DomainTable } from './domain-table.ts';
import { FailureLimiter } from './failure-limiter.ts';
import type { Holder } from './holder.ts';
import { identify } from './identify.ts';
import { recheck } from './recheck.ts';
import type { ResolvedDomain, ResolvedServerOptions } from './resolve-options.ts';
import type { SecretChecker } from './secret-check.ts';
import type { AccessControl } from './visitor-access.ts';

/** Starts with `open` on a tunnel; above an agent's default budget for its target (5 s), which answers better. */
const DIAL_TIMEOUT_MS = 10_000;

/** Verifies what an agent showed; takes the same time whether or not there is anything to compare with. */
export type SecretCheck = Pick<SecretChecker, 'check' | 'recalls'>;

export interface GateOptions {
  readonly options: ResolvedServerOptions;
  readonly domains: () => DomainTable;
  readonly registry: TunnelRegistry;
  readonly secrets: SecretCheck;
  readonly access: Pick<AccessControl, 'of'>;
  readonly liveness: LivenessOptions;
  readonly budget: MemoryBudget;
}

/** A tunnel, and what let it in. */
interface Admitted {
  readonly tunnel: ServerTunnel;
  readonly handshake: HandshakeRequest;
  readonly chain: readonly X509Certificate[];
  /** By which it was let in last. */
  grounds: Grounds;
}

/** What a claim was judged by; when any of it changes, the claim is judged again. */
interface Grounds {
  readonly policy: ResolvedDomain;
  readonly holder: Holder;
  /** Whether a certificate was among the proofs. */
  readonly isCertified: boolean;
}

/** Where agents come in: checks a handshake, turns the connection around, keeps the tunnel registered until its end. */
export class TunnelGate {
  readonly #gate: GateOptions;
  /** All that are not over, also those that were replaced and drain. */
  readonly #tunnels = new Set<Admitted>();
  readonly #certificateEnds: CertificateEnds;
  /** Wrong secrets, by address. */
  readonly #guesses = new FailureLimiter();
  #nextId = 1;
  #draining = false;

  readonly #remembered: Pick<SecretCheck, 'check'> = {
    check: async (candidate, secrets) => this.#gate.secrets.recalls(candidate, secrets),
  };

  constructor(gate: GateOptions) {
    this.#gate = gate;
    this.#certificateEnds = new CertificateEnds(gate.options.observer);
  }

  /** Tells every agent to leave; resolves when the last tunnel is over. What still runs at the deadline is cut. */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    for (const { tunnel } of this.#tunnels) tunnel.drain('drained', deadlineMs);
    await Promise.all(Array.from(this.#tunnels, ({ tunnel }) => tunnel.closed));
  }

  /** Tells the agent of one tunnel to leave; false where there is no such tunnel, or it is leaving already. */
  drainTunnel(id: string, deadlineMs: number): boolean {
    for (const { tunnel } of this.#tunnels) {
      if (tunnel.id !== id || !tunnel.usable) continue;
      this.#gate.options.observer({ type: 'tunnel-draining', tunnel: tunnel.info, reason: 'drained' });
      tunnel.drain('drained', deadlineMs);
      return true;
    }
    return false;
  }

  /** Ends every tunnel at once. */
  close(): void {
    for (const { tunnel } of this.#tunnels) tunnel.destroy();
  }

  /** To be called when the domains changed: cuts every tunnel that would not be let in any more, as {@link recheck} does. */
  recheck(): void {
    for (const admitted of this.#tunnels) this.#recheck(admitted);
  }

  /**
   * Takes an upgrade request on the service path. True: the socket now belongs to a tunnel. False: refused, and told to
   * the observer only; the caller answers as any path that nobody serves would (design 6.5).
   */
  async admit(request: IncomingMessage, socket: TLSSocket, head: Buffer, remote: string): Promise<boolean> {
    let handshake: HandshakeRequest | null = null;
    let grounds: Grounds;
    const chain = chainOf(socket);
    try {
      handshake = readHandshake(request);
      grounds = await this.authorise(askerOf(handshake, chain), remote);
    } catch (thrown) {
      this.#refused(handshake, remote, asBackdialError(thrown, 'handshake-invalid'));
      return false;
    }
    if (this.#draining) socket.destroy();
    // An agent whose tunnel would have to leave at once dials again, and finds whoever listens next.
    if (socket.destroyed) return true;
    const accepted = handshake;
    // Nothing is expected before the 101 (RFC 9931); what came all the same belongs to HTTP/2, which judges it.
    if (head.length > 0) socket.unshift(head);
    const { name } = this.#gate.options;
    answerHandshake(socket, { token: accepted.token, node: name, workers: 1 }, () =>
      this.#open({ handshake: accepted, chain, grounds }, socket, remote),
    );
    return true;
  }

  #isDated({ handshake, grounds: { policy, holder } }: Admitted): boolean {
    const { domains, options } = this.#gate;
    return domains().find(handshake.head.domain) !== policy || !holder.isCurrent(options.grants);
  }

  #recheck(admitted: Admitted): void {
    const { tunnel, handshake, chain } = admitted;
    void recheck({
      isOpen: () => this.#tunnels.has(admitted) && this.#isDated(admitted),
      judge: async () => {
        admitted.grounds = await this.authorise(askerOf(handshake, chain), tunnel.info.remote, 0);
      },
      revoke: (error) => {
        const isGone = error?.code === 'domain-unknown' || error?.code === 'domain-inactive';
        const detail = error?.message ?? 'its secret could not be checked in time';
        tunnel.revoke(isGone ? error.code : 'agent-lost', detail);
      },
    });
  }

  /**
   * Finds out who asks and whether it may serve the domain that it names. Fails with the reason, which only the log may tell
   * (design 6.5). `refusalRounds`: see `CheckOptions`; given where somebody is judged again, who guesses nothing. Of an address
   * that was wrong ten times lately no secret is hashed, but for one every 6 s: what was let in before goes on.
   */
  async authorise(asker: Asker, remote: string, refusalRounds?: number): Promise<Grounds> {
    const { domains, options, access } = this.#gate;
    const address = peerAddress(remote);
    const isGuess = refusalRounds === undefined;
    const isLimited = isGuess && this.#guesses.waitMs(address, performance.now()) > 0;
    const secrets = isLimited ? this.#remembered : this.#gate.secrets;
    const deps = { domains, secrets, identities: () => options.grants };
    const about = { refusalRounds, from: address };
    const { domain, credentials } = asker;
    const proof = () => proofOf(asker, domains().find(domain));
    let proven = proof();
    const shown = () => ({
      credentials,
      certificateNames: proven.names,
      certifiesDomain: proven.coversDomain,
      domain,
    });
    // Before anything else is looked at, so that the time of a refusal does not tell whether the domain exists.
    let holder = await identify(deps, shown(), about);
    // The configuration may have changed meanwhile.
    while (typeof holder !== 'string' && !holder.isCurrent(options.grants)) {
      proven = proof();
      holder = await identify(deps, shown(), about);
    }
    const isWrong = holder === 'secret-wrong';
    if (isWrong && isGuess && !isLimited) this.#guesses.fail(address, performance.now());
    const policy = domains().find(domain);
    if (policy === null) throw new BackdialError(domains().absence(domain), domain);
    if (!access.of(policy).admitsAgent(remote)) throw new BackdialError('network-refused', remote);
    // Where no secret could have helped, that is the reason. Here one may have been right that nobody looked at.
    if (isWrong && isLimited) throw new BackdialError('credentials-limit', domain);
    if (typeof holder === 'string') {
      // A secret that is wrong is told of where one was shown and could have been right, for the domain may take either.
      const { fault } = proven;
      const takesSecret = policy.secrets.length > 0 || typeof credentials?.identity === 'string';
      if (fault !== null && (credentials === null || asker.chain.length > 0 || !takesSecret))
        throw new BackdialError('agent-certificate', fault);
      throw new BackdialError(holder, domain);
    }
    const verdict = holder.mayClaim(domain);
    if (!verdict.granted) throw new BackdialError('claim-refused', verdict.missing);
    return { policy, holder, isCertified: proven.names.length > 0 };
  }

  #open(accepted: Omit<Admitted, 'tunnel'>, socket: TLSSocket, remote: string): void {
    // It may have begun while the 101 was written.
    if (this.#draining) socket.destroy();
    if (socket.destroyed) return;
    const { head } = accepted.handshake;
    const [certificate] = accepted.grounds.isCertified ? accepted.chain : [];
    const { observer, name, drainMs } = this.#gate.options;
    const info: TunnelInfo = {
      id: `t${this.#nextId}`,
      domain: head.domain,
      instance: head.instance,
      slot: head.slot,
      remote,
      node: name,
      ...(certificate === undefined ? {} : { certificateEndsAt: certificate.validToDate.getTime() }),
    };
    this.#nextId += 1;
    const opened = performance.now();
    const tunnel = new ServerTunnel(socket, {
      info,
      streamPerVisitor: head.streamPerVisitor,
      liveness: this.#gate.liveness,
      dialTimeoutMs: DIAL_TIMEOUT_MS,
      budget: this.#gate.budget,
      onDialled: (dialled) => observer({ type: 'dialled', tunnel: info, ...dialled }),
    });
    const admitted: Admitted = { tunnel, ...accepted };
    const stopWatch = certificate === undefined ? null : this.#certificateEnds.watch(certificate, info);
    this.#tunnels.add(admitted);
    const replaced = this.#gate.registry.add(tunnel);
    observer({ type: 'tunnel-opened', tunnel: info, peerVersion: head.version });
    if (replaced !== null) {
      observer({ type: 'tunnel-draining', tunnel: replaced.info, reason: 'replaced' });
      replaced.drain('replaced', drainMs);
    }
    tunnel.leaving.addEventListener('abort', () => this.#gate.registry.remove(tunnel), { once: true });
    void tunnel.closed.then(({ reason, detail }) => {
      stopWatch?.();
      this.#tunnels.delete(admitted);
      this.#gate.registry.remove(tunnel);
      observer({
        type: 'tunnel-closed',
        tunnel: info,
        reason,
        detail,
        lifetimeMs: Math.round(performance.now() - opened),
      });
    });
    // The domains may have changed since it was looked at.
    this.#recheck(admitted);
  }

  #refused(handshake: HandshakeRequest | null, remote: string, error: BackdialError): void {
    this.#gate.options.observer({
      type: 'handshake-refused',
      remote,
      domain: handshake?.head.domain ?? null,
      instance: handshake?.head.instance ?? null,
      reason: error.code,
      detail: error.message,
    });
  }
}

function askerOf({ head: { domain, instance }, credentials }: HandshakeRequest, chain: Asker['chain']): Asker {
  return { domain, instance, credentials, chain };
}
