import type { ErrorCode } from '../core/errors.ts';
import type { BackdialEvent } from '../core/events.ts';

/** Who was refused lately, and why. Texts are those of strangers. */
export interface Refusal {
  readonly id: number;
  /** Epoch ms. */
  readonly at: number;
  readonly who: 'agent' | 'connection' | 'visitor';
  readonly from: string;
  readonly domain: string | null;
  readonly reason: ErrorCode;
  readonly detail: string;
}

const MAX_REFUSALS = 100;
const MAX_TEXT = 200;
/** What this server decided about a visitor, not what became of one that it let in. */
const OF_VISITORS: ReadonlySet<string> = new Set<ErrorCode>([
  'domain-unknown',
  'domain-inactive',
  'domain-unserved',
  'network-refused',
  'time-refused',
  'certificate-refused',
  'credentials-missing',
  'credentials-wrong',
  'credentials-limit',
  'stream-limit',
  'request-invalid',
  'method-refused',
  'misdirected',
]);

/** The last refusals, newest first. */
export class RefusalList {
  readonly #refusals: Refusal[] = [];
  #lastId = 0;

  get lastId(): number {
    return this.#lastId;
  }

  observe(event: BackdialEvent): void {
    if (event.type === 'handshake-refused') {
      this.#add({ who: 'agent', from: event.remote, domain: event.domain, reason: event.reason, detail: event.detail });
    } else if (event.type === 'connection-refused') {
      const { remote: from, name: domain, reason, detail } = event;
      this.#add({ who: 'connection', from, domain, reason, detail });
    } else if (event.type === 'access' && OF_VISITORS.has(event.record.reason)) {
      const { remote: from, domain, reason } = event.record;
      this.#add({ who: 'visitor', from, domain, reason: reason as ErrorCode, detail: '' });
    }
  }

  /** Those that came after one. */
  since(id: number): Refusal[] {
    return this.#refusals.filter((each) => each.id > id);
  }

  #add({ domain, detail, ...rest }: Omit<Refusal, 'id' | 'at'>): void {
    this.#lastId += 1;
    const texts = { domain: domain?.slice(0, MAX_TEXT) ?? null, detail: detail.slice(0, MAX_TEXT) };
    this.#refusals.unshift({ id: this.#lastId, at: Date.now(), ...rest, ...texts });
    this.#refusals.length = Math.min(this.#refusals.length, MAX_REFUSALS);
  }
}
