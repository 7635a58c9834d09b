import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { formatAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { isLackOfGrant } from './connect-through.ts';
import type { PortState } from './port-claimer.ts';
import { RemotePort } from './remote-port.ts';
import type { ExposedPort, ServedDomain } from './served-domain.ts';

/** What is asked for with an exposure (features 6.3). */
export interface ExposureRequest {
  /** For people. */
  readonly name: string;
  /** `local`: the server listens here; `remote`: this agent does. 1 to 65,535. */
  readonly sourcePort: number;
  /** A server that some of the agent's domains have as `remote`, `host:port`: that one of them serves whose grants allow it. */
  readonly remote: string;
  /** `local`: what this agent dials; `remote`: what the server dials. */
  readonly destination: { readonly host: string; readonly port: number };
  readonly type: 'local' | 'remote';
}

/** An exposure as it can be asked for again after a restart. */
export interface SavedExposure extends ExposureRequest {
  readonly id: string;
}

/** An exposure and how far it has come. */
export interface Exposure extends SavedExposure {
  readonly status: 'pending' | 'complete' | 'error';
  /** Why, in words; empty where there is nothing to say. */
  readonly message: string;
}

/** The domains of an agent, in their order. */
export type DomainSource = () => Iterable<ServedDomain>;

interface Entry {
  readonly saved: SavedExposure;
  /** Where it listens, of a `local` one. */
  readonly exposed: ExposedPort;
  /** The domains that claim it now, in the order in which they were asked. Empty: none has its server as `remote`. */
  readonly asked: Set<ServedDomain>;
  port: RemotePort | null;
}

/** So many domains of one server are asked whether their grants allow an exposure: an agent may have thousands. */
const MOST_ASKED = 20;

/**
 * Ports that are opened at run time (features 6.3): `local`, at a server towards a destination of this agent's; `remote`, at
 * this agent towards a destination of the server's. What fails is tried again; one that fails never delays another.
 */
export class Exposures {
  readonly #domains: DomainSource;
  readonly #entries = new Map<string, Entry>();

  constructor(domains: DomainSource) {
    this.#domains = domains;
  }

  list(): Exposure[] {
    return Array.from(this.#entries.values(), (entry) => ({ ...entry.saved, ...stateOf(entry) }));
  }

  /** What can be given to {@link restore} after a restart. */
  saved(): SavedExposure[] {
    return Array.from(this.#entries.values(), ({ saved }) => saved);
  }

  /**
   * Begins an exposure and gives its id. Fails with `input-invalid` where no domain has the server as `remote`, and with
   * `port-taken` where the port is in use: at that server by this agent, or at this machine.
   */
  async add(request: ExposureRequest): Promise<string> {
    const domains = this.#domainsOf(request.remote);
    if (domains.length === 0) {
      const known = [...this.#remotes()].join(', ') || 'none';
      throw new BackdialError(
        'input-invalid',
        `no domain of this agent has ${request.remote} as \`remote\`; there is: ${known}`,
      );
    }
    this.#refuseTwice(request, domains);
    const entry = entryOf({ ...request, id: randomUUID() });
    this.#entries.set(entry.saved.id, entry);
    this.#attach(entry);
    try {
      await entry.port?.listening;
    } catch (error) {
      await this.remove(entry.saved.id);
      throw error;
    }
    return entry.saved.id;
  }

  /** Ends an exposure; resolves when its port was given up. False: there is none of that id. */
  async remove(id: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    await this.#detach(entry);
    return true;
  }

  /** Begins those of an earlier run, under their ids. */
  restore(saved: readonly SavedExposure[]): void {
    for (const each of saved) {
      if (this.#entries.has(each.id)) continue;
      const entry = entryOf(each);
      this.#entries.set(each.id, entry);
      this.#attach(entry);
    }
  }

  /** To be called when domains came, went or have other servers. */
  follow(): void {
    for (const entry of this.#entries.values()) {
      const domains = this.#domainsOf(entry.saved.remote);
      if (entry.asked.size > 0 && [...entry.asked].every((domain) => domains.includes(domain))) continue;
      void this.#detach(entry);
      this.#attach(entry);
    }
  }

  /** To be called when a claim was answered: where a grant is missing the next domain is asked, too, until one has got the port. */
  claimOnAnswer(domain: ServedDomain, { port, server }: ExposedPort): void {
    for (const entry of this.#entries.values()) {
      const { saved, exposed, asked } = entry;
      const isAbout = saved.type === 'local' && exposed.port === port && exposed.server === server;
      if (!isAbout || !asked.has(domain)) continue;
      const state = domain.portState(exposed);
      if (state.kind === 'open') this.#leaveOthers(entry, domain);
      else if (state.kind === 'failed' && state.error.code === 'port-refused') this.#askNext(entry);
    }
  }

  /** Opens nothing more and waits for what is open, or cuts it; a later run can {@link restore} them. */
  async close(cut: boolean): Promise<void> {
    await Promise.all(Array.from(this.#entries.values(), ({ port }) => port?.close(cut)));
  }

  #refuseTwice({ type, sourcePort, remote }: ExposureRequest, domains: readonly ServedDomain[]): void {
    for (const { saved } of this.#entries.values()) {
      const isSame = saved.type === type && saved.sourcePort === sourcePort;
      if (!isSame || (type === 'local' && saved.remote !== remote)) continue;
      throw new BackdialError('port-taken', `port ${sourcePort} is exposed already, as "${saved.name}" (${saved.id})`);
    }
    if (type === 'local' && domains.every((domain) => domain.hasPort(sourcePort))) {
      const name = domains.map(({ domain }) => domain.name).join(', ');
      throw new BackdialError(
        'port-taken',
        `port ${sourcePort} has a target of its own in the configuration of ${name}`,
      );
    }
  }

  #attach(entry: Entry): void {
    const { type, sourcePort, remote } = entry.saved;
    if (type === 'local') {
      this.#askNext(entry);
      return;
    }
    const [first] = this.#domainsOf(remote);
    if (first === undefined) return;
    entry.asked.add(first);
    entry.port = new RemotePort(sourcePort, (signal) => this.#dial(entry.saved, signal));
  }

  async #detach({ saved, exposed, asked, port }: Entry): Promise<void> {
    const domains = [...asked];
    asked.clear();
    if (saved.type === 'local') await Promise.all(domains.map((domain) => domain.unexpose(exposed)));
    await port?.close(true);
  }

  /** Those that were asked before claim the port still: what is granted to them later counts. */
  #askNext({ saved, exposed, asked }: Entry): void {
    const { sourcePort, destination, remote } = saved;
    if (asked.size >= MOST_ASKED || [...asked].some((domain) => domain.portState(exposed).kind !== 'failed')) return;
    const domains = this.#domainsOf(remote);
    const free = domains.filter((domain) => !asked.has(domain) && !domain.hasPort(sourcePort));
    // Whoever has no tunnel would answer none of this. The first waits for one, and until one can be asked it asks again.
    const next =
      free.find((domain) => domain.reaches(remote)) ?? (asked.size === 0 ? (free[0] ?? domains[0]) : undefined);
    if (next === undefined) return;
    asked.add(next);
    next.expose(exposed, { kind: 'tcp', ...destination });
  }

  #leaveOthers({ exposed, asked }: Entry, domain: ServedDomain): void {
    for (const other of asked) {
      if (other === domain) continue;
      asked.delete(other);
      void other.unexpose(exposed);
    }
  }

  /** By the first domain whose grants allow it. */
  async #dial({ remote, destination }: SavedExposure, signal: AbortSignal): Promise<Socket> {
    const domains = this.#domainsOf(remote);
    const reaching = domains.filter((domain) => domain.reaches(remote)).slice(0, MOST_ASKED);
    let failure: unknown = new BackdialError('server-unreachable', 'there is no tunnel to the server');
    for (const domain of reaching) {
      try {
        return await domain.connectThrough(remote, formatAddress(destination), signal);
      } catch (thrown) {
        signal.throwIfAborted();
        failure = thrown;
        if (!isLackOfGrant(thrown)) break;
      }
    }
    throw failure;
  }

  #domainsOf(remote: string): ServedDomain[] {
    const all = [...this.#domains()];
    return all.filter(({ domain }) => domain.remotes.some(({ label }) => label === remote));
  }

  #remotes(): Set<string> {
    return new Set(Array.from(this.#domains(), ({ domain }) => domain.remotes.map(({ label }) => label)).flat());
  }
}

function entryOf(saved: SavedExposure): Entry {
  return { saved, exposed: { port: saved.sourcePort, server: saved.remote }, asked: new Set(), port: null };
}

function stateOf(entry: Entry): Pick<Exposure, 'status' | 'message'> {
  const { saved, asked, port } = entry;
  if (asked.size === 0)
    return { status: 'error', message: `no domain of this agent has ${saved.remote} as \`remote\`` };
  const state = port?.state ?? claimState(entry);
  if (state.kind === 'open') return { status: 'complete', message: '' };
  if (state.kind === 'failed') return { status: 'error', message: state.error.message };
  return { status: 'pending', message: `no tunnel to ${saved.remote} yet` };
}

/** How far the best of the claims has come; of several that failed, the last that was asked. */
function claimState({ asked, exposed }: Entry): PortState {
  const states = Array.from(asked, (domain) => domain.portState(exposed));
  const ofKind = (kind: PortState['kind']) => states.findLast((state) => state.kind === kind);
  return ofKind('open') ?? ofKind('pending') ?? ofKind('failed') ?? { kind: 'pending' };
}
