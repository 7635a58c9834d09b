import type { X509Certificate } from 'node:crypto';
import type { Observer, TunnelInfo } from '../core/events.ts';
import { LONGEST_TIMER_MS } from '../core/in-time.ts';

/** How long before its end an agent's certificate is warned about. */
export const WARN_BEFORE_MS = 14 * 86_400_000;
/** Certificates of which it is remembered that they were warned about. */
const MAX_WARNED = 10_000;

/** Warns of agents' certificates that are about to end, of each once, while tunnels live that were let in by them. */
export class CertificateEnds {
  readonly #observer: Observer;
  readonly #warned = new Set<string>();

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** Gives what ends the watch. */
  watch({ fingerprint256, validToDate }: X509Certificate, tunnel: TunnelInfo): () => void {
    let timer: NodeJS.Timeout | undefined;
    const warnAt = validToDate.getTime() - WARN_BEFORE_MS;
    const look = (): void => {
      const leftMs = warnAt - Date.now();
      if (leftMs <= 0) {
        this.#warn(fingerprint256, validToDate, tunnel);
        return;
      }
      timer = setTimeout(look, Math.min(leftMs, LONGEST_TIMER_MS));
      timer.unref();
    };
    look();
    return () => clearTimeout(timer);
  }

  #warn(fingerprint: string, end: Date, { domain, instance }: TunnelInfo): void {
    if (this.#warned.has(fingerprint)) return;
    if (this.#warned.size >= MAX_WARNED) this.#warned.clear();
    this.#warned.add(fingerprint);
    const message = `${domain}: the certificate of the agent ${instance} ends on ${end.toISOString()}; renew it`;
    this.#observer({ type: 'warning', code: 'agent-certificate', message });
  }
}
