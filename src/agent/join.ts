import type { Duplex } from 'node:stream';
import type { TargetTimeouts } from '../core/dial.ts';
import { asBackdialError, BackdialError, ERRORS } from '../core/errors.ts';
import type { AccessRecord, Observer, StreamEnd, TunnelInfo } from '../core/events.ts';
import { resetDuplex } from '../net/reset.ts';
import { splice } from '../net/splice.ts';
import type { IncomingStream } from '../tunnel/agent-session.ts';
import type { ExchangeServer } from './exchange-server.ts';
import type { ResolvedTarget } from './resolve-options.ts';
import { endOfSplice } from './splice-end.ts';
import { connectTarget, meansTarget } from './targets.ts';

/** How streams of one domain are joined. */
export interface JoinOptions {
  readonly target: ResolvedTarget;
  readonly connectTimeoutMs: number;
  /** Told to the server, which keeps them for the HTTP that passes here unparsed. */
  readonly timeouts: TargetTimeouts;
  readonly observer: Observer;
  /** Reads the HTTP of HTTPS visitors; null: nothing is parsed, every stream is spliced. */
  readonly exchanges: ExchangeServer | null;
}

/** Where exchanges are parsed, the budgets are kept here; the server is told that there are none. */
const NO_TIMEOUTS: TargetTimeouts = { readMs: 0, writeMs: 0 };

/**
 * Joins a stream to the domain's target, and tells of it in the access log, once (of each exchange, where they are parsed). A target that fails is a refusal with its
 * code; a server that gives up meanwhile cancels the connection. Owns the stream; resolves when both are over.
 */
export async function joinStream(stream: IncomingStream, tunnel: TunnelInfo, options: JoinOptions): Promise<void> {
  const record = startRecord(stream, tunnel);
  const target = await openTarget(stream, options);
  if (target instanceof BackdialError) {
    stream.refuse(target.code);
    options.observer({ type: 'access', record: record(target.code, ERRORS[target.code].status, 0, 0) });
    return;
  }
  const { exchanges, timeouts, observer } = options;
  const { head } = stream;
  const parsed = exchanges !== null && head.way === 'https';
  const duplex = stream.accept(parsed ? NO_TIMEOUTS : timeouts);
  if (!parsed) {
    const result = await splice(duplex, target);
    const { bytesAToB, bytesBToA } = result;
    observer({ type: 'access', record: record(endOfSplice(result), null, bytesAToB, bytesBToA) });
    return;
  }
  try {
    await exchanges.serve({ stream: duplex, head, tunnel, target, timeouts, observer });
  } catch (thrown) {
    // A fault of ours costs its own stream only, and does not look like an end.
    const error = asBackdialError(thrown, 'internal');
    resetDuplex(duplex, error);
    resetDuplex(target, error);
    throw thrown;
  }
}

/** The connection to the target, or why there is none. */
async function openTarget(stream: IncomingStream, options: JoinOptions): Promise<Duplex | BackdialError> {
  const { signal } = stream;
  if (!meansTarget(stream.head)) return new BackdialError('port-unknown', stream.head.authority);
  try {
    const target = await connectTarget(options.target, { timeoutMs: options.connectTimeoutMs, signal });
    if (!signal.aborted) return target;
    target.destroy();
    return new BackdialError('visitor-reset');
  } catch (error) {
    return signal.aborted ? new BackdialError('visitor-reset') : asBackdialError(error, 'internal');
  }
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
