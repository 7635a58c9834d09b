import type { Socket } from 'node:net';
import type { ListenAddress } from '../core/address.ts';
import type { HelloRoute } from './hello-route.ts';

/** Starts with the server; ends the wait for tunnels, ms. Agents whose server is gone dial again within 4 s (design 3.2). */
const FIRST_TUNNELS_MS = 5_000;
/** How often those who wait look again, ms. */
const LOOK_MS = 50;

/**
 * Lets visitors wait who come right after a restart behind a socket that outlived it: they stand in its queue among the agents,
 * and would find their domain unserved. Whoever would get the answer that gives nothing away (design 6.5) waits, be it for a name
 * that does not exist, and gets it at the same moment as all others.
 */
export class FirstTunnels {
  #until: number;
  #look: PromiseWithResolvers<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** `waitMs`: 0 lets nobody wait. */
  constructor(waitMs: number) {
    this.#until = performance.now() + waitMs;
  }

  /** Resolves when it is time to look again, and to ask again; null: the wait is over. */
  next(): Promise<void> | null {
    const leftMs = this.#until - performance.now();
    if (leftMs <= 0) return null;
    if (this.#look === null) {
      this.#look = Promise.withResolvers();
      this.#timer = setTimeout(this.#wake, Math.min(LOOK_MS, leftMs));
      this.#timer.unref();
    }
    return this.#look.promise;
  }

  /** Nobody waits any more. Idempotent. */
  end(): void {
    this.#until = 0;
    clearTimeout(this.#timer);
    this.#wake();
  }

  readonly #wake = (): void => {
    const look = this.#look;
    this.#look = null;
    look?.resolve();
  };
}

/** Those of a server: only where it was handed sockets. */
export function firstTunnelsOf(
  { listen }: { readonly listen: readonly { readonly address: ListenAddress }[] },
  waitMs = FIRST_TUNNELS_MS,
): FirstTunnels {
  return new FirstTunnels(listen.some(({ address }) => 'systemd' in address || 'fd' in address) ? waitMs : 0);
}

/**
 * Routes a hello, and tells `follow` where it leads: in this turn, unless that is an alert 112 for which all wait. The socket, paused
 * before its hello, is left as it is meanwhile. Whatever ends here by then comes too late for that, and gets the alert, too.
 */
export function routeInTime(
  first: Pick<FirstTunnels, 'next'>,
  socket: Pick<Socket, 'destroyed'>,
  route: () => HelloRoute,
  follow: (route: HelloRoute) => void,
): void {
  const found = route();
  const later = found.kind === 'hide' || isOfNobody(found) ? first.next() : null;
  if (later === null) follow(found);
  else void later.then(() => routeLate(first, socket, route, follow));
}

function routeLate(...[first, socket, route, follow]: Parameters<typeof routeInTime>): void {
  if (!socket.destroyed) routeInTime(first, socket, () => notHere(route()), follow);
}

function isOfNobody(route: HelloRoute): boolean {
  return route.kind === 'refuse' && route.reason === 'certificate-missing';
}

function notHere(route: HelloRoute): HelloRoute {
  if (route.kind !== 'terminate') return route;
  const { name } = route;
  return { kind: 'refuse', reason: 'certificate-missing', name, detail: `${name ?? 'no SNI'}, when it came` };
}
