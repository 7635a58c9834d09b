import type { Socket } from 'node:net';
import { ProxyHeaderReader } from './proxy-header.ts';
import type { ProxyEndpoint } from './proxy-protocol.ts';

/** How the reading of a PROXY protocol header ended. */
export type ProxyHeaderRead =
  /** The socket is paused, exactly the header is consumed: hand it over in this very turn. `source`: see {@link ProxyHeaderReader}. */
  | { readonly kind: 'header'; readonly source: ProxyEndpoint | null }
  /** The socket is open and flowing into nowhere. */
  | {
      readonly kind: 'refused';
      readonly code: 'proxy-header-invalid' | 'proxy-header-timeout';
      readonly problem: string;
    }
  /** The peer went away before its first byte. */
  | { readonly kind: 'closed' };

/**
 * Consumes the PROXY protocol header that a connection begins with, and nothing behind it. `deadlineMs` starts with the call,
 * ends when the header is complete; 0: none. `onRead` is called once, in the turn of the read that completed the header. `raw`
 * must have an `error` listener and not be flowing yet.
 */
export function readProxyHeader(raw: Socket, deadlineMs: number, onRead: (result: ProxyHeaderRead) => void): void {
  const reader = new ProxyHeaderReader();
  const deadline = deadlineMs > 0 ? setTimeout(deadlineOnTimeout, deadlineMs) : undefined;
  deadline?.unref();
  raw.on('data', rawOnData).on('end', rawOnEnd).on('close', rawOnEnd);

  function rawOnData(chunk: Buffer): void {
    const verdict = reader.push(chunk);
    if (verdict.kind === 'more') return;
    if (verdict.kind === 'invalid') {
      settle({ kind: 'refused', code: 'proxy-header-invalid', problem: verdict.problem });
      return;
    }
    leave();
    raw.pause();
    if (verdict.rest.length > 0) raw.unshift(verdict.rest);
    onRead({ kind: 'header', source: verdict.source });
  }

  function rawOnEnd(): void {
    const problem = `the PROXY header was cut after ${reader.seen} bytes`;
    settle(reader.seen === 0 ? { kind: 'closed' } : { kind: 'refused', code: 'proxy-header-invalid', problem });
  }

  function deadlineOnTimeout(): void {
    const problem = `no PROXY header within ${deadlineMs} ms (${reader.seen} bytes came)`;
    settle({ kind: 'refused', code: 'proxy-header-timeout', problem });
  }

  function settle(result: ProxyHeaderRead): void {
    leave();
    onRead(result);
  }

  function leave(): void {
    clearTimeout(deadline);
    raw.off('data', rawOnData).off('end', rawOnEnd).off('close', rawOnEnd);
  }
}
