import type { IncomingMessage } from 'node:http';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import { type Answer, textAnswer } from '../net/error-answer.ts';
import { readServiceRequest } from '../tunnel/server-handshake.ts';
import { type Asker, chainOf } from './agent-certificate.ts';
import type { TunnelGate } from './gate.ts';
import type { Claimant, PortClaims } from './port-claims.ts';
import { recheck } from './recheck.ts';
import type { PortRequest } from './service-requests.ts';

export interface PortServiceOptions {
  readonly gate: Pick<TunnelGate, 'authorise'>;
  readonly claims: Pick<PortClaims, 'all' | 'claim' | 'release' | 'revoke'>;
  readonly options: { readonly observer: Observer };
}

/** So many refusals are remembered as told. */
const MAX_TOLD = 1_000;

/** Who holds a port, and what was shown for it. */
interface Held {
  readonly request: Asker;
  readonly remote: string;
}

/** What agents ask for by plain requests (design 3.2): ports that a grant allows. */
export class PortService {
  readonly #given: PortServiceOptions;
  readonly #held = new Map<number, Held>();
  /** What was told last of each port that an instance does not get: it asks again and again. */
  readonly #told = new Map<string, string>();
  /** How often grants or domains changed. */
  #changes = 0;

  constructor(given: PortServiceOptions) {
    this.#given = given;
  }

  /** Null: whoever asks has not proven that it may serve the domain; only the observer is told why. */
  async answer({ method, port }: PortRequest, request: IncomingMessage, remote: string): Promise<Answer | null> {
    let asked: Asker | null = null;
    const judgedAt = this.#changes;
    try {
      asked = { ...readServiceRequest(request), chain: chainOf(request.socket) };
      const refusal = await this.#missingGrant(asked, port, remote);
      if (refusal !== null) throw refusal;
      return method === 'PUT' ? await this.#open({ request: asked, remote }, port, judgedAt) : this.#close(asked, port);
    } catch (thrown) {
      const error = asBackdialError(thrown, 'internal');
      const { observer } = this.#given.options;
      if (asked === null || !TOLD.has(error.code)) {
        const { domain = null, instance = null } = asked ?? {};
        const refused = { remote, domain, instance, reason: error.code, detail: error.message };
        observer({ type: 'handshake-refused', ...refused });
        return null;
      }
      const { domain, instance } = asked;
      const refused = { domain, instance, port, peer: remote, reason: error.code, detail: error.message };
      if (this.#isNews(asked, port, error.message)) observer({ type: 'port-refused', ...refused });
      return textAnswer(error.entry.status, `${error.detail || error.message}\n`);
    }
  }

  /** The last tunnel of an instance has left. */
  instanceOnGone(claimant: Claimant): void {
    const key = keyOf(claimant);
    for (const told of this.#told.keys()) if (told.startsWith(key)) this.#told.delete(told);
  }

  #isNews(claimant: Claimant, port: number, message: string): boolean {
    const key = keyOf(claimant, port);
    if (this.#told.get(key) === message) return false;
    this.#told.set(key, message);
    const [oldest] = this.#told.keys();
    if (this.#told.size > MAX_TOLD && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }

  /** To be called when grants or domains changed: closes what would not be opened any more, as {@link recheck} does. */
  recheck(): void {
    this.#changes += 1;
    for (const [port, held] of this.#held) this.#recheck(port, held);
  }

  #recheck(port: number, held: Held): void {
    void recheck({
      isOpen: () => this.#held.get(port) === held,
      judge: () => this.#judge(port, held),
      revoke: () => this.#revoke(port, held),
    });
  }

  async #judge(port: number, held: Held): Promise<void> {
    const isGranted =
      this.#isClaimed(port, held) && (await this.#missingGrant(held.request, port, held.remote, 0)) === null;
    if (!isGranted) this.#revoke(port, held);
  }

  #isClaimed(port: number, { request: { domain, instance } }: Held): boolean {
    const { all } = this.#given.claims;
    return all.some((claim) => claim.port === port && claim.domain === domain && claim.instance === instance);
  }

  /** Forgets what was held, and closes it unless the port is another's by now. */
  #revoke(port: number, held: Held): void {
    if (this.#held.get(port) !== held) return;
    this.#held.delete(port);
    if (this.#isClaimed(port, held)) this.#given.claims.revoke(port);
  }

  /** Rejects where it is not proven who asks, or that it may serve the domain; gives the refusal where only the port is denied. */
  async #missingGrant(
    request: Asker,
    port: number,
    remote: string,
    refusalRounds?: number,
  ): Promise<BackdialError | null> {
    const { holder } = await this.#given.gate.authorise(request, remote, refusalRounds);
    const verdict = holder.serving(request.domain).mayOpenPort(port);
    return verdict.granted ? null : new BackdialError('port-refused', verdict.missing);
  }

  async #open(held: Held, port: number, judgedAt: number): Promise<Answer> {
    const { domain, instance } = held.request;
    const outcome = await this.#given.claims.claim({ domain, instance }, port);
    this.#held.set(port, held);
    this.#told.delete(keyOf(held.request, port));
    // What it was judged by may have changed since.
    if (this.#changes !== judgedAt) this.#recheck(port, held);
    if (outcome === 'held') return textAnswer(200, `port ${port} is open\n`);
    this.#given.options.observer({ type: 'port-opened', domain, instance, port, peer: held.remote });
    return textAnswer(201, `port ${port} is open\n`);
  }

  #close({ domain, instance }: Asker, port: number): Answer {
    if (!this.#given.claims.release({ domain, instance }, port)) {
      return textAnswer(404, `port ${port} is not open for ${domain} (instance ${instance})\n`);
    }
    this.#held.delete(port);
    this.#told.delete(keyOf({ domain, instance }, port));
    return textAnswer(200, `port ${port} is closed\n`);
  }
}

/** Of one port of an instance, or what those of all of its ports begin with. */
function keyOf({ domain, instance }: Claimant, port?: number): string {
  return `${domain} ${instance} ${port ?? ''}`;
}

/** What is told to an agent that has proven who it is. */
const TOLD: ReadonlySet<string> = new Set([
  'port-refused',
  'port-taken',
  'domain-unserved',
  'listen-failed',
  'tunnel-draining',
  'internal',
]);
