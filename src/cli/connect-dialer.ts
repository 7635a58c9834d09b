import { isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectThrough } from '../agent/connect-through.ts';
import type { ServerRoute } from '../agent/dial-server.ts';
import { type ResolvedAgentDomain, resolveAgentOptions } from '../agent/resolve-options.ts';
import { type LookupOptions, lookupAddresses, lookupInTime } from '../agent/resolver.ts';
import { Backoff } from '../core/backoff.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import { proxyFor } from '../net/http-proxy.ts';
import type { QuickArguments } from './quick-flags.ts';
import { serverFlags } from './quick-options.ts';

/** Starts with the dial of one address; ends when the stream is open. Above what a server gives its agent. */
const DIAL_TIMEOUT_MS = 15_000;
const BACKOFF = { baseMs: 100, capMs: 2_000 };

/** A name that is reached through a server. */
export interface ConnectDialer {
  /** `name[:port]`. */
  readonly authority: string;
  /** `host:port`. */
  readonly server: string;
  readonly warnings: readonly string[];
  /**
   * Opens a byte stream to the name. What may pass (the server or its agent is just restarting) is tried again until
   * `patienceMs` are over. Fails with a BackdialError, or the signal's reason.
   */
  dial(options: { readonly patienceMs: number; readonly signal: AbortSignal }): Promise<Socket>;
}

/** What this machine gives. */
export interface ConnectSurroundings {
  readonly env: NodeJS.ProcessEnv;
  /** Default: {@link lookupAddresses}. */
  readonly lookup?: LookupOptions['lookup'];
}

/** From the command line and the environment. Fails with `usage` or `input-invalid`. */
export function connectDialer(
  authority: string,
  flags: QuickArguments,
  { env, lookup = lookupAddresses }: ConnectSurroundings,
): ConnectDialer {
  const { server, name, secret, more, warnings } = serverFlags(flags, env);
  if (secret === null) {
    throw new BackdialError('usage', '--secret-file is missing (or BACKDIAL_SECRET_FILE, BACKDIAL_SECRET)');
  }
  if (more.identity === undefined && name === null) {
    const text = "--identity is missing: a name in the server's grants (or --domain: a domain whose secret it is)";
    throw new BackdialError('usage', text);
  }
  const domain = { name: name ?? 'connect.invalid', secret, remote: [server], target: NOWHERE, ...more };
  const [resolved] = resolveAgentOptions({ domains: [domain], proxyEnvironment: env }).domains;
  if (resolved === undefined) throw new BackdialError('internal', 'there is no domain');
  return {
    authority,
    server,
    warnings,
    async dial({ patienceMs, signal }) {
      const until = performance.now() + patienceMs;
      const backoff = new Backoff(BACKOFF);
      for (;;) {
        try {
          const routes = await routesTo(resolved, env, { signal, lookup });
          return await connectThrough(routes, resolved, authority, { timeoutMs: DIAL_TIMEOUT_MS, signal });
        } catch (thrown) {
          signal.throwIfAborted();
          const error = asBackdialError(thrown, 'server-unreachable');
          const waitMs = backoff.next();
          if (!mayPass(error) || performance.now() + waitMs > until) throw error;
          await sleep(waitMs, undefined, { signal });
        }
      }
    },
  };
}

const NOWHERE = { kind: 'unix', path: '/' } as const;

/** Every address of the server; through a proxy its name, which is resolved there. */
async function routesTo(
  { remotes }: ResolvedAgentDomain,
  env: NodeJS.ProcessEnv,
  options: LookupOptions,
): Promise<ServerRoute[]> {
  const [remote] = remotes;
  if (remote === undefined) return [];
  const proxy = proxyFor(env, remote.host, remote.port);
  if (proxy !== null) return [{ remote, address: null, proxy }];
  try {
    const addresses = isIP(remote.host) === 0 ? await lookupInTime(remote.host, options) : [remote.host];
    return addresses.map((address) => ({ remote, address, proxy: null }));
  } catch (error) {
    throw new BackdialError('server-unresolved', `${remote.host}: ${(error as Error).message}`, { cause: error });
  }
}

/** What the server answered CONNECT with, where it refused; null where something else failed. */
export function refusedStatus(error: BackdialError): number | null {
  const cause = error.code === 'connect-refused' ? (error.cause as { status?: unknown } | undefined) : undefined;
  return typeof cause?.status === 'number' ? cause.status : null;
}

/** The server, its agent or the way to them may be back soon. A server that does not know the asker stays one. */
function mayPass(error: BackdialError): boolean {
  const status = refusedStatus(error);
  return status === null ? error.code === 'server-unreachable' || error.code === 'connect-refused' : status >= 500;
}

/** What the error means and what to do, for people. */
export function refusalHelp(error: BackdialError, { authority, server }: ConnectDialer): string | null {
  const status = refusedStatus(error);
  if (status === null) return null;
  if (status >= 500 || status === 429) {
    return [
      `${server} let the secret in, but ${authority} leads nowhere. The causes that this can have:`,
      `  - no such name: it is \`domain[:port]\` or \`instance.domain[:port]\``,
      '  - no agent serves it now, or `clients` of the domain does not let this address or this hour in',
      "  - the port is neither 80 nor 443 and is not in `ports` of the agent's domain file",
      '  - what the agent reaches there does not accept connections: is it running?',
      '  - its visitors must log in: then only other ports than 80 and 443 are reached like this',
      "The server's access log has the true reason.",
    ].join('\n');
  }
  return [
    `${server} did not let this in, and tells the reason to its own log only. The causes that this can have:`,
    '  - the secret is wrong, or is not that of the identity (or domain) that was named',
    `  - no grant of \`connect\` allows ${authority}: there, in grants, connect: ["${authority}"]`,
    '  - the address is that of another web server',
  ].join('\n');
}
