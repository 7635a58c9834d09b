import type { UpgradeAnswer } from '../tunnel/agent-handshake.ts';
import type { ServerRoute } from './dial-server.ts';
import { Link, type LinkOptions, type LinkSnapshot } from './link.ts';
import type { SlotPool } from './slot-pool.ts';
import { SpareLinks } from './spare-links.ts';

/** Dials that a group spends, for each process of a server, on reaching those that it has no tunnel to. */
const SEARCHES_PER_WORKER = 8;
/** More processes than this are not followed. */
const MAX_WORKERS = 64;

/** What one group works with. */
export type LinkGroupOptions = Omit<LinkOptions, 'slot' | 'onLive' | 'onLost'> & {
  readonly slots: SlotPool;
  /** There is a new tunnel to the address. */
  onRouteLive(route: ServerRoute): void;
  /** There is no tunnel to the address any more. */
  onRouteLost(route: ServerRoute): void;
};

/**
 * The links of one (domain, server, address): as many as `connections`, at least one for each process there, and a spare one
 * while those are crowded.
 */
export class LinkGroup {
  readonly #options: LinkGroupOptions;
  readonly #links = new Map<Link, number>();
  readonly #spares = new SpareLinks({
    links: () => this.#links.keys(),
    open: () => this.#open(),
    close: (link) => this.#close(link, this.#options.settings.drainMs),
  });
  #searches = 0;
  #stopping = false;

  constructor(options: LinkGroupOptions) {
    this.#options = options;
  }

  get snapshots(): LinkSnapshot[] {
    return [...this.#links.keys()].map((link) => link.snapshot);
  }

  start(): void {
    this.#grow(this.#options.domain.connections);
  }

  outdateStreams(): void {
    for (const link of this.#links.keys()) link.outdateStreams();
  }

  /** Drains every link; resolves when nothing is left of them and their slots are free. May be called again. */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    this.#spares.stop();
    await Promise.all([...this.#links.keys()].map((link) => this.#close(link, drainMs)));
  }

  #grow(count: number): void {
    while ([...this.#links.keys()].filter((link) => !this.#spares.has(link)).length < count) this.#open();
  }

  #open(): Link {
    const slot = this.#options.slots.take();
    const link: Link = new Link({
      ...this.#options,
      slot,
      onLive: (live, answer) => this.#linkOnLive(live, answer),
      onLost: () => this.#linkOnLost(),
      onStream: (stream, tunnel, server) => {
        this.#spares.streamOnCome(link);
        this.#options.onStream(stream, tunnel, server);
      },
    });
    this.#links.set(link, slot);
    link.start();
    return link;
  }

  async #close(link: Link, drainMs: number): Promise<void> {
    await link.stop(drainMs);
    const slot = this.#links.get(link);
    if (!this.#links.delete(link) || slot === undefined) return;
    this.#options.slots.release(slot);
  }

  #linkOnLost(): void {
    if ([...this.#links.keys()].every(({ tunnel }) => tunnel === null)) this.#options.onRouteLost(this.#options.route);
  }

  /**
   * The server's kernel chooses the process that takes a connection. So there are as many links as processes, and one
   * that comes to a process which has another tunnel already dials again, a bounded number of times, until each has one.
   * The bound starts anew when all have been reached.
   */
  #linkOnLive(link: Link, answer: UpgradeAnswer): void {
    this.#options.onRouteLive(this.#options.route);
    const workers = Math.min(answer.workers, MAX_WORKERS);
    if (workers < 2 || answer.node === null || this.#stopping) return;
    this.#grow(workers);
    const nodes = [...this.#links.keys()].map(({ node }) => node).filter((node) => node !== null);
    const reached = new Set(nodes).size;
    if (reached >= workers) {
      this.#searches = 0;
      return;
    }
    const doubled = nodes.filter((node) => node === answer.node).length > 1;
    if (!doubled || this.#searches >= SEARCHES_PER_WORKER * workers) return;
    this.#searches += 1;
    link.redial();
  }
}
