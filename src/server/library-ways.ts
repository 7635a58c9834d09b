import { randomUUID } from 'node:crypto';
import type { Agent as HttpAgent } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Dialled } from '../core/dial.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { resetDuplex } from '../net/reset.ts';
import type { TunnelDialer } from './dialer.ts';
import {
  type ClientPoolOptions,
  checkDialOptions,
  createDispatcher,
  createHttpAgent,
  type LibraryDispatcher,
  type ServerDialOptions,
} from './library.ts';

/** The ways in for the program that embeds a server. It may reach every domain: no rule for visitors is asked. */
export interface LibraryWays {
  /**
   * A byte stream to a name: `domain`, `domain:port`, `instance.domain` or `instance.domain:port`. It has `allowHalfOpen`: its
   * `end` means that the far end ended cleanly, each cut is an `error`, `destroy(error)` reaches the target as a reset. The
   * caller owns it.
   *
   * Fails with a {@link BackdialError}: `name-invalid`; `config-invalid` (options that are not what the types say); `domain-unknown`, `domain-inactive`; `domain-unserved` (after `waitMs`,
   * default 0, when nobody came to serve it); `stream-limit`; `port-unknown`, `no-route` and `target-...` as the agent says;
   * `agent-lost`, `agent-silent`, `tunnel-draining`; `dial-timeout` (no answer of the agent within 10 s); `dial-aborted` by
   * `signal`, at any phase, with its reason as `cause`. Abort does not touch a stream that is open already.
   */
  dial(name: string, options?: ServerDialOptions): Promise<Duplex>;
  /**
   * An agent for `http.request({ agent, host: name })`, whose connections are streams through the tunnels; kept alive, `destroy()`
   * it when done. A request whose dial fails emits that {@link BackdialError} as its `error`. For `http:` only: what the
   * agent does towards its target (TLS, for one) is the agent's.
   */
  httpAgent(options?: ClientPoolOptions): HttpAgent;
  /**
   * A dispatcher for `fetch('http://name/', { dispatcher })` and for undici's own functions; `close()` it when done. `http:` and
   * `https:` lead to the same target, as for visitors, and nothing is encrypted but the tunnel. Where the dial fails `fetch`
   * rejects with a TypeError whose `cause` is the {@link BackdialError}; undici's functions reject with that itself.
   */
  dispatcher(options?: ClientPoolOptions): LibraryDispatcher;
}

/** The ways in of a dialer. */
export function createLibraryWays(dialer: Pick<TunnelDialer, 'open' | 'openWhenServed'>): LibraryWays {
  const open = async (name: string, given: ServerDialOptions): Promise<Dialled> => {
    const { waitMs = 0, way = 'library', transaction = randomUUID(), ...options } = given;
    const dial = { ...options, way, transaction };
    const dialled = await (waitMs > 0 ? dialer.openWhenServed(name, dial, waitMs) : dialer.open(name, dial));
    const { stream, ended } = dialled;
    if (ended === null) return dialled;
    const endedOnAbort = (): void => resetDuplex(stream, asBackdialError(ended.reason, 'domain-unserved'));
    ended.addEventListener('abort', endedOnAbort, { once: true });
    stream.once('close', () => ended.removeEventListener('abort', endedOnAbort));
    return dialled;
  };
  return {
    dial: async (name, options = {}) => {
      if (typeof name !== 'string') throw new BackdialError('name-invalid', 'the name of a dial is a string');
      checkDialOptions(options);
      return (await open(name, options)).stream;
    },
    httpAgent: (options) => createHttpAgent(open, options),
    dispatcher: (options) => createDispatcher(open, options),
  };
}
