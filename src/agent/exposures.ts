import { randomUUID } from 'node:crypto';
import { formatAddress } from '../core/address.ts';
import { BackdialError } from '../core/errors.ts';
import { RemotePort } from './remote-port.ts';
import type { ExposedPort, ServedDomain } from './served-domain.ts';

/** What is asked for with an exposure (features 6.3). */
export interface ExposureRequest {
  /** For people. */
  readonly name: string;
  /** `local`: the server listens here; `remote`: this agent does. 1 to 65,535. */
  readonly sourcePort: number;
  /** A server that one of the agent's domains has as `remote`, `host:port`. */
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
  /** The domain that serves it now; null while none has its server as `remote`. */
  domain: ServedDomain | null;
  port: RemotePort | null;
}

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
    const domain = this.#domainOf(request.remote);
    if (domain === null) {
      const known = [...this.#remotes()].join(', ') || 'none';
      throw new BackdialError(
        'input-invalid',
        `no domain of this agent has ${request.remote} as \`remote\`; there is: ${known}`,
      );
    }
    this.#refuseTwice(request, domain);
    const entry = entryOf({ ...request, id: randomUUID() });
    this.#entries.set(entry.saved.id, entry);
    this.#attach(entry, domain);
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
      this.#attach(entry, this.#domainOf(each.remote));
    }
  }

  /** To be called when domains came, went or have other servers. */
  follow(): void {
    for (const entry of this.#entries.values()) {
      const domain = this.#domainOf(entry.saved.remote);
      if (domain === entry.domain) continue;
      void this.#detach(entry);
      this.#attach(entry, domain);
    }
  }

  /** Opens nothing more and waits for what is open, or cuts it; a later run can {@link restore} them. */
  async close(cut: boolean): Promise<void> {
    await Promise.all(Array.from(this.#entries.values(), ({ port }) => port?.close(cut)));
  }

  #refuseTwice({ type, sourcePort, remote }: ExposureRequest, domain: ServedDomain): void {
    for (const { saved } of this.#entries.values()) {
      const isSame = saved.type === type && saved.sourcePort === sourcePort;
      if (!isSame || (type === 'local' && saved.remote !== remote)) continue;
      throw new BackdialError('port-taken', `port ${sourcePort} is exposed already, as "${saved.name}" (${saved.id})`);
    }
    if (type === 'local' && domain.hasPort(sourcePort)) {
      const { name } = domain.domain;
      throw new BackdialError(
        'port-taken',
        `port ${sourcePort} has a target of its own in the configuration of ${name}`,
      );
    }
  }

  #attach(entry: Entry, domain: ServedDomain | null): void {
    entry.domain = domain;
    if (domain === null) return;
    const { type, sourcePort, destination, remote } = entry.saved;
    if (type === 'local') domain.expose(entry.exposed, { kind: 'tcp', ...destination });
    else {
      const dial = (signal: AbortSignal) => domain.connectThrough(remote, formatAddress(destination), signal);
      entry.port = new RemotePort(sourcePort, dial);
    }
  }

  async #detach({ saved, exposed, domain, port }: Entry): Promise<void> {
    if (saved.type === 'local') await domain?.unexpose(exposed);
    await port?.close(true);
  }

  #domainOf(remote: string): ServedDomain | null {
    for (const served of this.#domains()) {
      if (served.domain.remotes.some(({ label }) => label === remote)) return served;
    }
    return null;
  }

  #remotes(): Set<string> {
    return new Set(Array.from(this.#domains(), ({ domain }) => domain.remotes.map(({ label }) => label)).flat());
  }
}

function entryOf(saved: SavedExposure): Entry {
  return { saved, exposed: { port: saved.sourcePort, server: saved.remote }, domain: null, port: null };
}

function stateOf({ saved, exposed, domain, port }: Entry): Pick<Exposure, 'status' | 'message'> {
  if (domain === null) return { status: 'error', message: `no domain of this agent has ${saved.remote} as \`remote\`` };
  const state = port?.state ?? domain.portState(exposed);
  if (state.kind === 'open') return { status: 'complete', message: '' };
  if (state.kind === 'failed') return { status: 'error', message: state.error.message };
  return { status: 'pending', message: `no tunnel to ${saved.remote} yet` };
}
