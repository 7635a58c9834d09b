import { randomBytes, randomInt } from 'node:crypto';
import {
  type ClientProof,
  type Remote,
  type ResolvedAgentDomain,
  type ResolvedAgentOptions,
  resolveAgentOptions,
  type ServerTrust,
} from '../../agent/resolve-options.ts';
import type { ResolvedTarget } from '../../agent/resolve-routes.ts';
import { kindOf } from '../../config/kind.ts';
import { formatAddress } from '../../core/address.ts';
import { BackdialError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { ProxyVersion } from '../../net/proxy-protocol.ts';
import { loadAgentConfig } from '../load-config.ts';
import type { QuickArguments } from '../quick-flags.ts';
import { serverFlags } from '../quick-options.ts';
import { targetArgument } from '../target.ts';

/** A domain as the doctor claims it. */
export interface Claim {
  readonly domain: string;
  /** Null: none is known, so that it cannot be shown. */
  readonly secret: Secret | null;
  readonly identity: string | null;
  /** The certificate that is shown; null: none. */
  readonly proof: ClientProof | null;
  /** Where it is claimed: no tunnel of a running agent is replaced there. */
  readonly instance: string;
  readonly slot: number;
}

/** A server, and the domains that are claimed there on the same terms. */
export interface ServerSubject {
  readonly remote: Remote;
  readonly service: string;
  readonly trust: ServerTrust;
  readonly claims: readonly Claim[];
}

/** What is to be thought of, beside the rest, where an agent dials a server by the name of a domain that it claims there; else empty. */
export function ownNameAdvice({ remote, claims }: ServerSubject): string {
  if (!claims.some(({ domain }) => domain === remote.host)) return '';
  return `; or is ${remote.host} a domain with \`tls: "passthrough"\`? Then its agents need another name of the server in \`remote\``;
}

export interface TargetSubject {
  readonly domain: string;
  readonly target: ResolvedTarget;
  /** Each connection begins with a PROXY header of this version; null: with none. */
  readonly proxyProtocol: ProxyVersion | null;
}

/** All that is to be looked at. */
export interface Subject {
  readonly servers: readonly ServerSubject[];
  readonly targets: readonly TargetSubject[];
  readonly connectTimeoutMs: number;
  readonly warnings: readonly string[];
}

/** A name that no domain has: stands for one where none is given. */
const NO_DOMAIN = 'doctor.invalid';

/** Far beyond those that an agent takes, the lowest first. */
const FIRST_SLOT = 32_768;
const LAST_SLOT = 65_535;

/** An instance of its own; with a certificate, which may be for one instance alone, a slot of its own in the agent's. */
function placeOf({
  proof,
  instance,
}: Pick<ResolvedAgentDomain, 'proof' | 'instance'>): Pick<Claim, 'instance' | 'slot'> {
  if (proof === null) return { instance: `doctor-${randomBytes(4).toString('hex')}`, slot: 0 };
  return { instance, slot: randomInt(FIRST_SLOT, LAST_SLOT + 1) };
}

/** From an agent's file. Fails with `config-invalid` after naming every problem. */
export async function subjectOfFile(file: string): Promise<Subject> {
  if ((await kindOf(file)) === 'server') {
    throw new BackdialError(
      'input-invalid',
      `${file} is a server's; the doctor looks from an agent's side. \`backdial check -c ${file}\` checks a server's file`,
    );
  }
  const { options, inactive } = await loadAgentConfig(file);
  const warnings = inactive.map((name) => `${name} has a file but is not active`);
  if (options.domains.length === 0) throw new BackdialError('input-invalid', `${file}: no domain is active`);
  return subjectOf(resolveAgentOptions(options), true, warnings);
}

/** From the command line and the environment. */
export function subjectOfFlags(flags: QuickArguments, env: NodeJS.ProcessEnv): Subject {
  const { server, name, secret, more, warnings } = serverFlags(flags, env);
  const target = flags.target === undefined ? null : targetArgument(flags.target);
  const resolved = resolveAgentOptions({
    domains: [
      {
        name: name ?? NO_DOMAIN,
        secret: secret ?? new Secret('none'),
        remote: [server],
        target: target ?? { kind: 'unix', path: '/' },
        ...more,
      },
    ],
  });
  const subject = subjectOf(resolved, name !== null && secret !== null, warnings);
  return target === null ? { ...subject, targets: [] } : subject;
}

function subjectOf(options: ResolvedAgentOptions, hasSecret: boolean, warnings: readonly string[]): Subject {
  const servers = new Map<string, ServerSubject & { readonly claims: Claim[] }>();
  const targets = new Map<string, TargetSubject>();
  for (const domain of options.domains) {
    const { service, trust, identity, proof } = domain;
    const secret = hasSecret ? domain.secret : null;
    const claim: Claim = { domain: domain.name, secret, identity, proof, ...placeOf(domain) };
    for (const remote of domain.remotes) {
      const key = JSON.stringify([remote.label, service, trust]);
      const known = servers.get(key);
      if (known === undefined) servers.set(key, { remote, service, trust, claims: [claim] });
      else known.claims.push(claim);
    }
    const own = [
      ...domain.targets.flatMap(({ targets: all, proxyProtocol }) =>
        all.map(({ target }) => ({ target, proxyProtocol })),
      ),
      ...Object.values(domain.ports).map((target) => ({ target, proxyProtocol: null })),
    ];
    for (const { target, proxyProtocol } of own) {
      const key = `${domain.name} ${target.kind} ${formatAddress(target)} ${proxyProtocol}`;
      targets.set(key, { domain: domain.name, target, proxyProtocol });
    }
  }
  return {
    servers: [...servers.values()],
    targets: [...targets.values()],
    connectTimeoutMs: options.connectTimeoutMs,
    warnings,
  };
}
