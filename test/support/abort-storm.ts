import * as net from 'node:net';

export interface StormOptions {
  readonly port: number;
  /** How many visitors come, and reset. */
  readonly visitors: number;
  /** At most so many in a second; as many as the machine can where that is fewer. */
  readonly perSecond: number;
}

export interface StormResult {
  /** Visitors that reset after the target's first byte had reached them: each had a stream of its own in the tunnel. */
  readonly resets: number;
  /** Visitors that were cut themselves before that. */
  readonly refused: number;
  readonly durationMs: number;
}

const TICK_MS = 10;
/** More would measure the kernel's queue of connections, not the tunnel. */
const MAX_IN_FLIGHT = 200;

/** Visitors of a TCP way in whose target speaks first: they connect, wait for its first byte, and reset. */
export async function abortStorm({ port, visitors, perSecond }: StormOptions): Promise<StormResult> {
  let [started, resets, refused, inFlight] = [0, 0, 0, 0];
  const begun = performance.now();

  const visitOnce = () => {
    started += 1;
    inFlight += 1;
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    let met = false;
    socket.on('error', () => {});
    socket.once('data', () => {
      met = true;
      socket.resetAndDestroy();
    });
    socket.once('close', () => {
      inFlight -= 1;
      if (met) resets += 1;
      else refused += 1;
    });
  };

  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(visitors, ((performance.now() - begun) / 1_000) * perSecond);
      while (started < due && inFlight < MAX_IN_FLIGHT) visitOnce();
      if (started < visitors || inFlight > 0) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  return { resets, refused, durationMs: performance.now() - begun };
}
