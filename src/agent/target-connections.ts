import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { auto } from 'http2-wrapper';
import { BackdialError } from '../core/errors.ts';
import { Http2Sessions } from '../net/http2-sessions.ts';
import type { OpenOptions } from '../net/open-socket.ts';
import { Upstream } from '../net/upstream.ts';
import type { Requester } from '../net/upstream-handler.ts';
import { UpstreamPool } from '../net/upstream-pool.ts';
import { STREAM_RULES } from './exchange-head.ts';
import type { ResolvedTarget } from './resolve-routes.ts';
import { connectTarget } from './targets.ts';

/** How long it is believed which protocol a target chose. */
const ALPN_MS = 60_000;
/**
 * A request that may not be sent twice gets a connection that was in use this recently, or a new one: the older a free one,
 * the likelier that the target is just closing it.
 */
const FRESH_MS = 1_000;

/**
 * Sessions that are waited for by one exchange while others are quicker. Each takes one exchange at least, so that a thousand
 * can begin in the same moment whatever the target allows.
 */
const MAX_TURNS = 1_000;

/** For which exchange a connection is wanted. */
export interface RequesterWish {
  /** The request asks for an upgrade: HTTP/1.1 it must be. */
  readonly upgrade: boolean;
  /** The request does no harm when it is sent twice. */
  readonly repeatable: boolean;
  /** No HTTP/1.1 connection that was used before. A session that takes more may be one that refused: that said nothing of the next. */
  readonly fresh: boolean;
}

/** The way of an exchange to a target. */
export interface Lease {
  readonly requester: Requester;
  /** The connection was used before: that it breaks may say nothing of the target. */
  readonly reused: boolean;
}

/**
 * The connections to one target, kept alive: with HTTP/1.1 each serves one exchange at a time, with HTTP/2 many. Which of the
 * two an https target speaks, is its choice (ALPN).
 *
 * Of http2-wrapper it is the choice that is used. Its requests cannot carry trailers, a body with GET or DELETE, or the
 * fields of interim responses; its Agent refuses a target whose certificate is for another name even where that is allowed.
 */
export class TargetConnections {
  readonly #target: ResolvedTarget;
  readonly #header: Buffer | null;
  readonly #pool = new UpstreamPool();
  readonly #sessions = new Http2Sessions(STREAM_RULES);
  readonly #protocols = new Map<string, string>();
  #protocolsSince = 0;
  #choosing: Shared<Chosen> | null = null;
  #closed = false;

  /** `header` goes in front of each connection: a PROXY header. */
  constructor(target: ResolvedTarget, header: Buffer | null) {
    this.#target = target;
    this.#header = header;
  }

  /** A connection for bytes as they are, HTTP/1.1 where a protocol has to be named. Fails as `connectTarget` does. */
  connect(options: OpenOptions): Promise<Socket> {
    return connectTarget(this.#target, { ...options, header: this.#header });
  }

  /** As {@link connect}; null where the target chose HTTP/2: there is a session then. */
  async connectUnlessHttp2(options: OpenOptions): Promise<Socket | null> {
    if (this.#target.kind !== 'https') return this.connect(options);
    if (this.#sessions.hasRoom) return null;
    this.#choosing ??= this.#startChoosing(options.timeoutMs);
    const chosen = await this.#choosing.wait(options.signal);
    if (chosen.isHttp2) return null;
    return chosen.take() ?? this.connect(options);
  }

  /** Makes sure that there is a connection for the next exchange. Fails as `connectTarget` does. */
  async prepare(options: OpenOptions): Promise<void> {
    if (this.#pool.freeCount > 0) return;
    const socket = await this.connectUnlessHttp2(options);
    if (socket !== null) this.#pool.add(new Upstream(socket, STREAM_RULES));
    if (this.#closed) this.close();
  }

  /** The way of one exchange. Fails as `connectTarget` does. */
  async lease({ upgrade, repeatable, fresh }: RequesterWish, options: OpenOptions): Promise<Lease> {
    const session = upgrade ? null : this.#sessions.open();
    if (session !== null) return { requester: session, reused: true };
    const free = fresh ? null : this.#pool.take(repeatable ? undefined : FRESH_MS);
    if (free !== null) return { requester: free, reused: free.requests > 0 };
    for (let turn = 0; turn < MAX_TURNS; turn += 1) {
      const socket = await (upgrade ? this.connect(options) : this.connectUnlessHttp2(options));
      if (socket !== null) return { requester: this.#adopted(new Upstream(socket, STREAM_RULES)), reused: false };
      const requester = this.#sessions.open();
      if (requester !== null) return { requester, reused: false };
      // Others have taken all its room meanwhile; each turn makes another session.
    }
    throw new BackdialError('target-invalid', `others took all the room of ${MAX_TURNS} HTTP/2 sessions`);
  }

  /** Ends what is free; what is in use ends with its exchange. */
  close(): void {
    this.#closed = true;
    this.#pool.close();
    this.#sessions.close();
  }

  /** A pool that is closed ends what becomes free. */
  #adopted(upstream: Upstream): Upstream {
    this.#pool.adopt(upstream);
    return upstream;
  }

  #startChoosing(timeoutMs: number): Shared<Chosen> {
    const choosing: Shared<Chosen> = new Shared(
      (signal) => this.#choose({ timeoutMs, signal }),
      () => {
        if (this.#choosing === choosing) this.#choosing = null;
      },
    );
    return choosing;
  }

  /** Finds out which protocol the target chooses. */
  async #choose(options: OpenOptions): Promise<Chosen> {
    const expires = performance.now() + options.timeoutMs;
    if (performance.now() - this.#protocolsSince > ALPN_MS) {
      this.#protocols.clear();
      this.#protocolsSince = performance.now();
    }
    const resolveProtocol = auto.createResolveProtocol(this.#protocols, new Map(), async (_options, callback) => {
      const socket = await this.#offerBoth(options);
      setImmediate(callback);
      return socket;
    });
    const found = await resolveProtocol({ ALPNProtocols: [...OFFERED], resolveSocket: true } as ResolveOptions);
    if (found.alpnProtocol !== 'h2') return new Chosen(false, found.socket ?? null);
    const socket = found.socket ?? (await this.#offerBoth(options));
    // It was known to choose HTTP/2, and does not any more.
    if (socket.alpnProtocol !== 'h2') {
      this.#protocols.clear();
      return new Chosen(false, socket);
    }
    await this.#sessions.adopt(socket, Math.max(1, Math.ceil(expires - performance.now())));
    return new Chosen(true, null);
  }

  async #offerBoth(options: OpenOptions): Promise<TLSSocket> {
    return (await connectTarget(this.#target, { ...options, header: this.#header, alpn: OFFERED })) as TLSSocket;
  }
}

const OFFERED = ['h2', 'http/1.1'];

/** Not in its types: the connection that told of the protocol is wanted, too. */
type ResolveOptions = Parameters<typeof auto.resolveProtocol>[0] & { resolveSocket: boolean };

/** What came of offering both protocols. The connection is for whoever asks first. */
class Chosen {
  readonly isHttp2: boolean;
  #socket: TLSSocket | null;

  constructor(isHttp2: boolean, socket: TLSSocket | null) {
    this.isHttp2 = isHttp2;
    this.#socket = socket;
    // Whoever wanted it has taken it by then, unless they are all gone.
    setImmediate(() => this.take()?.destroy());
  }

  take(): TLSSocket | null {
    const socket = this.#socket;
    this.#socket = null;
    return socket;
  }
}

/** Work that several wait for. It is given up when none of them does any more. */
class Shared<T> {
  readonly #result: Promise<T>;
  readonly #nobody = new AbortController();
  #waiting = 0;

  /** `onOver` is called once there is nothing to wait for any more. */
  constructor(work: (signal: AbortSignal) => Promise<T>, onOver: () => void) {
    this.#nobody.signal.addEventListener('abort', onOver, { once: true });
    this.#result = work(this.#nobody.signal).finally(onOver);
    // Also where nobody is left to be told.
    this.#result.catch(() => {});
  }

  /** The result; the signal's reason once that is aborted. */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    this.#waiting += 1;
    const { promise, reject } = Promise.withResolvers<never>();
    const signalOnAbort = (): void => {
      reject(signal?.reason);
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#nobody.abort(signal?.reason);
    };
    signal?.addEventListener('abort', signalOnAbort, { once: true });
    try {
      return await Promise.race([this.#result, promise]);
    } finally {
      signal?.removeEventListener('abort', signalOnAbort);
    }
  }
}
