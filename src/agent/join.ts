import type { Socket } from 'node:net';
import type { TargetTimeouts } from '../core/dial.ts';
import { asBackdialError, BackdialError, ERRORS } from '../core/errors.ts';
import type { AccessRecord, Observer, StreamEnd, TunnelInfo } from '../core/events.ts';
import { resetDuplex } from '../net/reset.ts';
import { splice } from '../net/splice.ts';
import type { IncomingStream } from '../tunnel/agent-session.ts';
import type { DomainTargets } from './domain-targets.ts';
import type { ExchangeServer } from './exchange-server.ts';
import type { StreamHandler } from './handler.ts';
import { endOfSplice } from './splice-end.ts';
import { StreamTargets } from './stream-targets.ts';

/** How streams of one domain are joined. */
export interface JoinOptions {
  readonly targets: DomainTargets;
  /** Label of the server that the stream came from. */
  readonly server: string;
  readonly connectTimeoutMs: number;
  /** Told to the server, which keeps them for the HTTP that passes here unparsed. */
  readonly timeouts: TargetTimeouts;
  readonly observer: Observer;
  /** Reads the HTTP of HTTPS visitors, where that is needed. */
  readonly exchanges: ExchangeServer;
  /** Each exchange is told of, so that all HTTP of HTTPS visitors is read. */
  readonly tellsExchanges: boolean;
}

/** Where exchanges are parsed, the budgets are kept here; the server is told that there are none. */
const NO_TIMEOUTS: TargetTimeouts = { readMs: 0, writeMs: 0 };

/**
 * Joins a stream to what its domain has for it, and tells of it in the access log, once (of each exchange, where they are
 * parsed). A target that fails is a refusal with its code, also where exchanges are parsed, if there is only one that they
 * can go to; a server that gives up meanwhile cancels the connection. Owns the stream; resolves when all is over.
 */
export async function joinStream(stream: IncomingStream, tunnel: TunnelInfo, options: JoinOptions): Promise<void> {
  const own = new StreamTargets(options.targets, stream.head);
  try {
    await join(stream, tunnel, options, own);
  } finally {
    own.close();
  }
}

async function join(stream: IncomingStream, tunnel: TunnelInfo, options: JoinOptions, own: StreamTargets) {
  const record = startRecord(stream, tunnel);
  const opened = await openTarget(stream, options, own);
  const { targets, exchanges, timeouts, connectTimeoutMs, observer } = options;
  if (opened instanceof BackdialError) {
    stream.refuse(opened.code);
    observer({ type: 'access', record: record(opened.code, ERRORS[opened.code].status, 0, 0) });
    return;
  }
  if (typeof opened === 'function') {
    const { end, bytesIn, bytesOut } = await opened(stream.accept(timeouts), tunnel.instance, (fault) =>
      observer({ type: 'warning', code: fault.code, message: `${tunnel.domain}: ${fault.message}` }),
    );
    observer({ type: 'access', record: record(end, null, bytesIn, bytesOut) });
    return;
  }
  if (opened !== null) {
    const result = await splice(stream.accept(timeouts), opened);
    const { bytesAToB, bytesBToA } = result;
    observer({ type: 'access', record: record(endOfSplice(result), null, bytesAToB, bytesBToA) });
    return;
  }
  const duplex = stream.accept(NO_TIMEOUTS);
  try {
    const { head } = stream;
    await exchanges.serve({ stream: duplex, head, tunnel, targets, own, connectTimeoutMs, timeouts, observer });
  } catch (thrown) {
    // A fault of ours costs its own stream only, and does not look like an end.
    resetDuplex(duplex, asBackdialError(thrown, 'internal'));
    throw thrown;
  }
}

/** What a stream is spliced with, or its handler; null where its exchanges are to be parsed. */
type Opened = Socket | StreamHandler | null;

/** As {@link connectFor}; why there is none of these. */
async function openTarget(
  stream: IncomingStream,
  options: JoinOptions,
  own: StreamTargets,
): Promise<Opened | BackdialError> {
  const { signal } = stream;
  try {
    const opened = await connectFor(stream, options, own);
    if (!signal.aborted) return opened;
    if (typeof opened !== 'function') opened?.destroy();
    return new BackdialError('visitor-reset');
  } catch (error) {
    return signal.aborted ? new BackdialError('visitor-reset') : asBackdialError(error, 'internal');
  }
}

async function connectFor(
  { head, signal }: IncomingStream,
  { targets, server, connectTimeoutMs, tellsExchanges }: JoinOptions,
  own: StreamTargets,
): Promise<Opened> {
  const way = targets.wayOf(head, server);
  if (way.kind === 'handler') return way.handler;
  const bounds = { timeoutMs: connectTimeoutMs, signal };
  if (way.kind === 'bytes') {
    const { group, proxyProtocol } = way;
    return group.open((member) => own.connectionsTo(member, proxyProtocol).connect(bounds), signal);
  }
  const { only } = way;
  // With several targets each exchange is to find its own: connecting to one here would take its turn.
  if (only === null || only.group.members.length > 1) return null;
  const splices = !tellsExchanges && only.isPlain;
  return only.group.open(async (member) => {
    const connections = own.connectionsTo(member, only.proxyProtocol);
    if (splices) return connections.connectUnlessHttp2(bounds);
    await connections.prepare(bounds);
    return null;
  }, signal);
}

type Finish = (reason: StreamEnd, status: number | null, bytesIn: number, bytesOut: number) => AccessRecord;

function startRecord({ head }: IncomingStream, tunnel: TunnelInfo): Finish {
  const start = Date.now();
  const began = performance.now();
  return (reason, status, bytesIn, bytesOut) => ({
    start,
    domain: tunnel.domain,
    instance: tunnel.instance,
    id: head.transaction,
    way: head.way,
    method: null,
    path: null,
    status,
    reason,
    in: bytesIn,
    out: bytesOut,
    durationMs: Math.round(performance.now() - began),
    remote: head.client ?? tunnel.remote,
    ua: null,
    referer: null,
  });
}
