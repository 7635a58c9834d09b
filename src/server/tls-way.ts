import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { Crowd } from '../core/crowd.ts';
import type { Dialled, DialOptions } from '../core/dial.ts';
import type { BackdialError, ErrorCode } from '../core/errors.ts';
import { ALERT, type Alert, sendAlert } from '../net/alert.ts';
import { type ByteVisit, ByteVisits, type ByteVisitsOptions } from './byte-visits.ts';
import { DeadBackends } from './dead-backends.ts';
import { DomainStreams } from './domain-streams.ts';
import { type HostFolder, openHost } from './hosts-folder.ts';
import type { ResolvedDomain } from './resolve-options.ts';

/** A visitor whose ClientHello was read. */
export interface HelloVisitor {
  /** With `allowHalfOpen`, paused, the hello unread in it. To be handed over in the turn that found the hello. */
  readonly socket: Socket;
  /** `ip:port`. */
  readonly remote: string;
  /** Canonical SNI. */
  readonly name: string;
}

/**
 * The TLS passthrough way in: what visitors send goes on byte for byte, the hello first, and no key is ever here. Owns each
 * socket that it is given. Where nobody is behind a name the visitor gets alert 112, where the dial fails otherwise alert 80,
 * and what breaks later is a reset.
 */
export interface TlsWay {
  /** Joins the visitor to the domain, which it may reach. */
  pass(visitor: HelloVisitor, policy: ResolvedDomain): void;
  /** Joins the visitor to a backend of the hosts folder. */
  passToHost(visitor: HelloVisitor, host: HostFolder): void;
  /** Answers as for a name that is nobody's, and records why. */
  refuse(visitor: HelloVisitor, policy: ResolvedDomain, reason: ErrorCode): void;
  /** Resets every visitor that is joined, or waits to be. */
  close(): void;
  /** Visitors that are joined, or wait to be. */
  readonly connectionCount: number;
}

export interface TlsWayOptions {
  readonly options: ByteVisitsOptions['options'];
  readonly dialer: DomainDialer;
  /** Places of each domain, shared with the other ways in. Default: of its own. */
  readonly streams?: DomainStreams;
}

/** Opens the stream of a visitor who names a domain, and never an instance of one. */
export interface DomainDialer {
  openDomain(domain: string, options: DialOptions): Promise<Dialled>;
}

/** Makes the way in; it listens nowhere, the front door hands it connections. */
export function createTlsWay(options: TlsWayOptions): TlsWay {
  return new PassingTlsWay(options);
}

/** Errors after which there was nobody behind the name. */
const NOBODY: ReadonlySet<ErrorCode> = new Set(['domain-unknown', 'domain-inactive', 'domain-unserved']);
/** The same, where the target is beside the server: a dead backend is none. */
const DEAD: ReadonlySet<ErrorCode> = new Set([
  'target-refused',
  'target-unreachable',
  'target-unresolved',
  'target-timeout',
]);

class PassingTlsWay implements TlsWay {
  readonly #toDomains: ByteVisits;
  readonly #toHosts: ByteVisits;
  readonly #open = new Crowd<Socket>();
  readonly #dead: DeadBackends;
  #closing = false;

  constructor({ options, dialer, streams = new DomainStreams() }: TlsWayOptions) {
    this.#dead = new DeadBackends(options.observer);
    const toDomain = { open: (name: string, dial: DialOptions) => dialer.openDomain(name, dial) };
    this.#toDomains = new ByteVisits({ dialer: toDomain, streams, options });
    this.#toHosts = new ByteVisits({ dialer: { open: dialHost }, streams, options });
  }

  get connectionCount(): number {
    return this.#open.size;
  }

  pass(visitor: HelloVisitor, policy: ResolvedDomain): void {
    const isDead = (code: ErrorCode) => NOBODY.has(code) || (policy.target !== null && DEAD.has(code));
    this.#join(this.#toDomains, this.#visit(visitor, policy, visitor.name), isDead);
  }

  passToHost(visitor: HelloVisitor, host: HostFolder): void {
    this.#join(this.#toHosts, this.#visit(visitor, null, host.path), (code) => DEAD.has(code));
  }

  refuse(visitor: HelloVisitor, policy: ResolvedDomain, reason: ErrorCode): void {
    sendAlert(visitor.socket, ALERT.unrecognizedName);
    this.#toDomains.refused(this.#visit(visitor, policy, visitor.name), reason);
  }

  close(): void {
    this.#closing = true;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  #join(visits: ByteVisits, visit: ByteVisit, isDead: (code: ErrorCode) => boolean): void {
    const { socket } = visit;
    const place = this.#open.enter(socket);
    const fail = (error: BackdialError) => {
      const { code } = error;
      if (isDead(code) && DEAD.has(code)) this.#dead.tell(visit.domain, error);
      const alert: Alert = isDead(code) ? ALERT.unrecognizedName : ALERT.internalError;
      sendAlert(socket, alert);
    };
    void visits.serve(visit, fail).then(() => this.#open.leave(place));
  }

  #visit({ socket, remote, name }: HelloVisitor, policy: ResolvedDomain | null, dialled: string): ByteVisit {
    return {
      socket,
      policy,
      name: dialled,
      domain: policy?.name ?? name,
      way: 'tls',
      remote,
      start: Date.now(),
      began: performance.now(),
      transaction: randomUUID(),
      endOfSocket: () => (this.#closing ? 'tunnel-draining' : 'visitor-reset'),
    };
  }
}

/** Dials a folder of the hosts folder by its path. */
async function dialHost(path: string, { client, arrivedAt, signal }: DialOptions): Promise<Dialled> {
  const ends = { visitor: client ?? null, arrivedAt: arrivedAt?.() ?? null };
  return { stream: await openHost({ path }, ends, signal), instance: null, leaving: null, ended: null };
}
