/** What the bench of `fetch` and its two programs tell each other. */
export interface FetchGreeting {
  /** Of the front door, where agents dial; how its server is known. */
  readonly port: number;
  readonly pin: string;
  /** Where the HTTPS way in takes visitors in the clear. */
  readonly clearPort: number;
}

/** A load of so many seconds: through the dispatcher of the server in this program, or over sockets. */
export interface FetchOrder {
  readonly through: 'dispatcher' | 'sockets';
  readonly url: string;
  /** At the same time, one request after the other each. */
  readonly visitors: number;
  readonly seconds: number;
}

export interface FetchCount {
  readonly requests: number;
  /** Median of one request. */
  readonly medianMs: number;
  readonly seconds: number;
}
