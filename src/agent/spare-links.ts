import type { AgentTunnel } from '../tunnel/agent-session.ts';
import { GATHERED_STREAMS, LEAST_CROWD } from '../tunnel/crowding.ts';
import type { Link } from './link.ts';

/** How often tunnels that carry many streams are looked at, ms. */
const LOOK_INTERVAL_MS = 1_000;
/** A crowd that grew by more than this from one look to the next is still coming, and would crowd another tunnel as well. */
const SETTLED_GROWTH = 1.1;
/** How many at a time: what stalls in each of them is bounded by `tunnelMemory`, so each may be that much memory more. */
const MOST_SPARES = 3;
/** After so many looks that found no crowd they leave, as soon as they are free: the next crowd is not to find them. */
const CALM_LOOKS = 3;

export interface SpareLinksOptions {
  /** All links to the address, spare ones included. */
  links(): Iterable<Link>;
  /** Starts one more. */
  open(): Link;
  /** Ends one; nothing of it is left when this resolves. */
  close(link: Link): Promise<void>;
}

/**
 * Tunnels beyond `connections`, for as long as all those are crowded: HTTP/2 as Node has it gives all streams of a session one
 * window, so that those that stall on a tunnel make it slow for whoever comes next, and only a further tunnel does not.
 *
 *     none --a crowd that has settled--> one --it is crowded, too--> up to three
 *       ^                                 |
 *       `----no crowd for 3 s, and no stream on it
 */
export class SpareLinks {
  readonly #options: SpareLinksOptions;
  readonly #spares = new Set<Link>();
  #timer: NodeJS.Timeout | null = null;
  #streams = 0;
  #calmLooks = 0;
  #stopped = false;

  constructor(options: SpareLinksOptions) {
    this.#options = options;
  }

  has(link: Link): boolean {
    return this.#spares.has(link);
  }

  /** To be told of each stream: tunnels with few cost nothing. */
  streamOnCome(link: Link): void {
    if (this.#timer !== null || this.#stopped || (link.tunnel?.streamCount ?? 0) < LEAST_CROWD) return;
    this.#streams = 0;
    this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Opens and closes none any more. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #look(): void {
    const links = [...this.#options.links()];
    const streams = links.reduce((sum, { tunnel }) => sum + (tunnel?.streamCount ?? 0), 0);
    const isSettled = streams <= SETTLED_GROWTH * this.#streams;
    this.#streams = streams;
    if (isShort(links.filter((link) => !this.#spares.has(link)))) {
      this.#calmLooks = 0;
      if (isSettled && this.#spares.size < MOST_SPARES && this.#areCrowded()) this.#spares.add(this.#options.open());
      return;
    }
    this.#calmLooks += 1;
    if (this.#calmLooks >= CALM_LOOKS) for (const spare of this.#spares) this.#release(spare);
    if (this.#spares.size > 0 || streams >= LEAST_CROWD || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  /** One that is not up yet may still help. */
  #areCrowded(): boolean {
    return [...this.#spares].every(({ tunnel }) => tunnel !== null && isCrowded(tunnel));
  }

  /** Streams that are kept for HTTP visitors to come are ended by the server once they are outdated. */
  #release(spare: Link): void {
    if (spare.tunnel !== null && spare.tunnel.streamCount > 0) {
      spare.outdateStreams();
      return;
    }
    this.#spares.delete(spare);
    void this.#options.close(spare);
  }
}

/** Whether there is a process at the server all of whose tunnels are crowded. */
function isShort(links: readonly Link[]): boolean {
  const crowded = new Set<string | null>();
  const roomy = new Set<string | null>();
  for (const { node, tunnel } of links) {
    if (tunnel !== null) (isCrowded(tunnel) ? crowded : roomy).add(node);
  }
  return !crowded.isSubsetOf(roomy);
}

/** Many streams are enough: each has little of the tunnel's memory then, whether they stall or not. */
function isCrowded(tunnel: AgentTunnel): boolean {
  return tunnel.streamCount >= GATHERED_STREAMS || tunnel.isCrowded;
}
