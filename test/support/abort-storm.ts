import * as net from 'node:net';

export interface StormOptions {
  readonly port: number;
  /** How many visitors come, and reset. */
  readonly visitors: number;
  /** At most so many in a second; as many as the machine can where that is fewer. */
  readonly perSecond: number;
  /** Whether they reset as soon as they are connected, or (the default) once the target's first byte has come. */
  readonly when?: 'connected' | 'answered';
}

export interface StormResult {
  /** Visitors that reset when they were to; those of `answered` had a stream of their own in the tunnel each. */
  readonly resets: number;
  /** Visitors that were cut themselves before that. */
  readonly refused: number;
  readonly durationMs: number;
}

/** More would measure the kernel's queue of connections, not the tunnel. */
const MAX_IN_FLIGHT = 200;
const TICK_MS = 10;

/** Visitors of a TCP way in who connect and reset; for `answered` the target has to speak first. */
export async function abortStorm({ port, when = 'answered', ...given }: StormOptions): Promise<StormResult> {
  let [resets, refused, inFlight] = [0, 0, 0];

  const visitOnce = () => {
    inFlight += 1;
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let met = false;
    socket.on('error', () => {});
    socket.once(when === 'answered' ? 'data' : 'connect', () => {
      met = true;
      socket.resetAndDestroy();
    });
    socket.once('close', () => {
      inFlight -= 1;
      if (met) resets += 1;
      else refused += 1;
    });
  };

  const durationMs = await paced(given, {
    begin: visitOnce,
    hasRoom: () => inFlight < MAX_IN_FLIGHT,
    isOver: () => inFlight === 0,
  });
  return { resets, refused, durationMs };
}

/** What is begun again and again. */
export interface Paced {
  begin(): void;
  /** Whether another one can be begun now. */
  hasRoom(): boolean;
  /** Whether all that were begun are over. */
  isOver(): boolean;
}

/** Begins so many, at most so many a second; resolves when all are over, with how long it took, ms. */
export async function paced(
  { visitors, perSecond }: Pick<StormOptions, 'visitors' | 'perSecond'>,
  { begin, hasRoom, isOver }: Paced,
): Promise<number> {
  const begun = performance.now();
  let started = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(visitors, ((performance.now() - begun) / 1_000) * perSecond);
      for (; started < due && hasRoom(); started += 1) begin();
      if (started < visitors || !isOver()) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  return performance.now() - begun;
}
