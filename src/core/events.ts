import type { ErrorCode } from './errors.ts';

/** How a visitor came in (design, section 3.2, `backdial-way`). */
export type Way = 'https' | 'tls' | 'tcp' | 'proxy' | 'connect' | 'library' | 'peer';

/** One turned-around connection, as logs and metrics name it. */
export interface TunnelInfo {
  /** When the certificate ends that let the agent in, epoch ms; not there where a secret did. */
  readonly certificateEndsAt?: number;
  /** Unique within the process that names it. */
  readonly id: string;
  readonly domain: string;
  readonly instance: string;
  readonly slot: number;
  /** The other end's address, `ip:port`. */
  readonly remote: string;
  /** The server's node id. */
  readonly node: string;
}

/** Why a tunnel ended; each has exactly one. */
export type TunnelEnd =
  /** A newer tunnel of the same (domain, instance, slot) took over. */
  | 'replaced'
  /** This side asked the tunnel to leave and it drained. */
  | 'drained'
  /** The other side said GOAWAY and it drained. */
  | 'peer-drained'
  /** The connection was closed or reset, or the other side had heard nothing from this one and gave it up. */
  | 'lost'
  /** PING was not answered within its deadline. */
  | 'silent'
  /** The other side broke HTTP/2. */
  | 'protocol-error'
  /** What had let it in (its domain, its secret, its network) was taken out of the configuration. */
  | 'removed'
  /** The process is stopping and the drain deadline passed. */
  | 'shutdown';

/** Why a stream or an exchange ended: `done`, or the code of what cut it. */
export type StreamEnd = 'done' | ErrorCode;

/** One line of the access log: an HTTP exchange or a byte stream (features 8.2). */
export interface AccessRecord {
  /** Epoch ms. */
  readonly start: number;
  readonly domain: string | null;
  readonly instance: string | null;
  /** Transaction id (UUID). */
  readonly id: string;
  readonly way: Way;
  /** Null for byte streams. */
  readonly method: string | null;
  readonly path: string | null;
  /** The true status, also where stealth sent another one; null for byte streams that opened. */
  readonly status: number | null;
  readonly reason: StreamEnd;
  /** Bytes from the visitor (bodies and byte streams, heads not counted). */
  readonly in: number;
  /** Bytes to the visitor. */
  readonly out: number;
  readonly durationMs: number;
  /** The visitor's address, `ip:port`. */
  readonly remote: string;
  readonly ua: string | null;
  readonly referer: string | null;
}

/** All that server and agent tell the outside; logs and metrics are made from it. */
export type BackdialEvent =
  | { readonly type: 'listening'; readonly purpose: ListenPurpose; readonly address: string; readonly domain?: string }
  | { readonly type: 'tunnel-opened'; readonly tunnel: TunnelInfo; readonly peerVersion: string | null }
  | { readonly type: 'tunnel-draining'; readonly tunnel: TunnelInfo; readonly reason: TunnelEnd }
  | {
      readonly type: 'tunnel-closed';
      readonly tunnel: TunnelInfo;
      readonly reason: TunnelEnd;
      readonly detail: string | null;
      readonly lifetimeMs: number;
    }
  /** Server: an agent's handshake was refused. The reason stays here; the agent sees the stealth status only. */
  | {
      readonly type: 'handshake-refused';
      readonly remote: string;
      readonly domain: string | null;
      readonly instance: string | null;
      readonly reason: ErrorCode;
      readonly detail: string;
    }
  /** Agent: one attempt to get a tunnel failed; the next is in `retryInMs`. `attempt` counts from 1. */
  | {
      readonly type: 'dial-failed';
      readonly server: string;
      readonly address: string | null;
      readonly domain: string;
      readonly instance: string;
      readonly slot: number;
      readonly reason: ErrorCode;
      readonly detail: string;
      readonly attempt: number;
      readonly retryInMs: number;
    }
  /** A TCP port that an agent asked for is open at the server. `peer`: the agent's address, or the server's. */
  | {
      readonly type: 'port-opened';
      readonly domain: string;
      readonly instance: string;
      readonly port: number;
      readonly peer: string;
    }
  /** The same, refused; the agent asks again, and is told of again when the answer is another. */
  | {
      readonly type: 'port-refused';
      readonly domain: string;
      readonly instance: string;
      readonly port: number;
      readonly peer: string;
      readonly reason: ErrorCode;
      readonly detail: string;
    }
  /** An HTTP exchange or a byte stream ended. Server: every way in. Agent: every stream, or every exchange it parsed. */
  | { readonly type: 'access'; readonly record: AccessRecord }
  /** Server: a stream was opened in a tunnel, or was not; kept-alive ones are used for many requests. */
  | {
      readonly type: 'dialled';
      readonly tunnel: TunnelInfo;
      readonly way: Way;
      readonly durationMs: number;
      /** Null: it is open. */
      readonly error: ErrorCode | null;
    }
  /** A connection ended before it named a domain (TLS alert, garbage, deadline, limit). */
  | {
      readonly type: 'connection-refused';
      readonly remote: string;
      readonly reason: ErrorCode;
      readonly detail: string;
      /** SNI, where one was read. */
      readonly name: string | null;
    }
  /** Agent: one of several targets that was avoided, which a `warning` told of, accepts connections again. */
  | {
      readonly type: 'target-back';
      readonly domain: string;
      /** Its route, by name or place. */
      readonly route: string;
      readonly target: string;
      /** Since it was avoided. */
      readonly awayMs: number;
    }
  | { readonly type: 'warning'; readonly code: string; readonly message: string };

export type ListenPurpose = 'front-door' | 'tcp' | 'claim' | 'redirect' | 'proxy' | 'api';

/** The one seam between the libraries and whoever watches them. Must not throw. */
export type Observer = (event: BackdialEvent) => void;
