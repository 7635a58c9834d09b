import { Counter, Gauge, type Registry } from 'prom-client';
import type { BackdialEvent, TunnelEnd, TunnelInfo } from '../core/events.ts';
import type { MemoryStats, TunnelStats } from '../core/tunnel-stats.ts';

/** A live tunnel and what it shows. */
export type TunnelSample = Pick<TunnelInfo, 'domain' | 'instance' | 'slot' | 'certificateEndsAt'> & {
  readonly stats: TunnelStats;
};

/** So many tunnels have series of their own; of more only the sums are told. */
const MAX_TUNNELS = 1_000;
const LABELS = ['domain', 'instance', 'slot'];
const ENDS = {
  replaced: 0,
  drained: 0,
  'peer-drained': 0,
  lost: 0,
  silent: 0,
  'protocol-error': 0,
  removed: 0,
  shutdown: 0,
} satisfies Record<TunnelEnd, 0>;

/** The tunnels of one side: each that is live, how they ended, and what they hold. */
export class Tunnels {
  readonly #registry: Registry;
  readonly #opened: Counter;
  readonly #ended: Counter;
  readonly #refused: Counter;
  readonly #live: Gauge;
  readonly #held: Gauge;
  readonly #budget: Gauge;
  readonly #each: readonly (readonly [metric: Gauge | Counter, read: (stats: TunnelStats) => number | null])[];
  /** Null at an agent: a tunnel's certificate is known to whom it was shown. */
  readonly #certificateEnds: Gauge | null;

  constructor(registry: Registry, side: 'server' | 'agent') {
    this.#registry = registry;
    this.#opened = this.#counter('backdial_tunnels_opened_total', 'Tunnels that were opened.');
    this.#ended = this.#counter('backdial_tunnel_ends_total', 'Tunnels that ended, by reason.', ['reason']);
    for (const reason of Object.keys(ENDS)) this.#ended.inc({ reason }, 0);
    this.#refused =
      side === 'server'
        ? this.#counter('backdial_handshakes_refused_total', 'Handshakes of agents that were refused, by reason.', [
            'reason',
          ])
        : this.#counter('backdial_agent_dial_failures_total', 'Dials that gave no tunnel, by reason.', ['reason']);
    this.#certificateEnds =
      side === 'server'
        ? this.#gauge(
            'backdial_tunnel_certificate_not_after_timestamp_seconds',
            'When the certificate ends that let the agent of a tunnel in, since the epoch.',
            LABELS,
          )
        : null;
    this.#live = this.#gauge('backdial_tunnels', 'Live tunnels.');
    this.#held = this.#gauge('backdial_memory_held_bytes', 'Received in all tunnels and not yet taken by a reader.');
    this.#budget = this.#gauge('backdial_memory_budget_bytes', 'What may be held (`memory`).');
    this.#each = [
      [
        this.#gauge('backdial_tunnel_round_trip_seconds', 'Round trip of the last PING of a tunnel.', LABELS),
        ({ rttMs }) => (rttMs === null ? null : rttMs / 1_000),
      ],
      [this.#gauge('backdial_tunnel_streams', 'Open streams of a tunnel.', LABELS), ({ streams }) => streams],
      [
        this.#gauge('backdial_tunnel_stream_window_bytes', 'Window of each stream of a tunnel, on this side.', LABELS),
        ({ streamWindowBytes }) => streamWindowBytes,
      ],
      [
        this.#gauge('backdial_tunnel_window_bytes', 'Window of a whole tunnel, on this side.', LABELS),
        ({ tunnelWindowBytes }) => tunnelWindowBytes,
      ],
      [
        this.#gauge('backdial_tunnel_held_bytes', 'Received in a tunnel and not yet taken by a reader.', LABELS),
        ({ heldBytes }) => heldBytes,
      ],
      [
        this.#counter('backdial_tunnel_received_bytes_total', 'Bytes from the other end of a tunnel.', LABELS),
        ({ receivedBytes }) => receivedBytes,
      ],
      [
        this.#counter('backdial_tunnel_sent_bytes_total', 'Bytes to the other end of a tunnel.', LABELS),
        ({ sentBytes }) => sentBytes,
      ],
    ];
  }

  observe(event: BackdialEvent): void {
    if (event.type === 'tunnel-opened') this.#opened.inc();
    else if (event.type === 'tunnel-closed') this.#ended.inc({ reason: event.reason });
    else if (event.type === 'handshake-refused' || event.type === 'dial-failed') {
      this.#refused.inc({ reason: event.reason });
    }
  }

  refresh(tunnels: readonly TunnelSample[], memory: MemoryStats): void {
    this.#live.set(tunnels.length);
    this.#held.set(memory.heldBytes);
    this.#budget.set(memory.budgetBytes);
    for (const [metric] of this.#each) metric.reset();
    this.#certificateEnds?.reset();
    for (const { domain, instance, slot, stats, certificateEndsAt } of tunnels.slice(0, MAX_TUNNELS)) {
      const labels = { domain, instance, slot: String(slot) };
      if (certificateEndsAt !== undefined) this.#certificateEnds?.set(labels, certificateEndsAt / 1_000);
      for (const [metric, read] of this.#each) {
        const value = read(stats);
        if (value !== null) metric.inc(labels, value);
      }
    }
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }
}
