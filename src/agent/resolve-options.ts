import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { createSecureContext } from 'node:tls';
import { formatAddress, parseHostPort } from '../core/address.ts';
import { asBackdialError, BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import { toDomain } from '../core/host-name.ts';
import { LONGEST_TIMER_MS } from '../core/in-time.ts';
import { isLogin, MAX_LOGIN_BYTES } from '../core/login-rules.ts';
import type { Secret } from '../core/secret.ts';
import { secretFault } from '../core/secret-rules.ts';
import { proxyFor } from '../net/http-proxy.ts';
import { agentShapeProblems } from './check-options.ts';
import { type AgentHandler, type StreamHandler, streamHandler } from './handler.ts';
import type { AgentDomainOptions, AgentOptions } from './options.ts';
import { checkCa, type ResolvedRoute, type ResolvedTarget, resolvePorts, resolveRoutes } from './resolve-routes.ts';

const DEFAULTS = {
  connectTimeoutMs: 5_000,
  readTimeoutMs: 60_000,
  writeTimeoutMs: 20_000,
  tunnelMemoryBytes: 67_108_864,
  memoryBytes: 536_870_912,
  drainMs: 30_000,
  exchanges: false,
  proxyEnvironment: {} as Readonly<Record<string, string | undefined>>,
  observer: (() => {}) as Observer,
} as const;

const DEFAULT_SERVICE = '/.well-known/backdial-agent';
const DEFAULT_CONNECTIONS = 2;
const DEFAULT_CONCURRENCY = 1_000;
const MAX_CONNECTIONS = 64;
const HTTPS_PORT = 443;

/** A server that a domain is claimed at. */
export interface Remote {
  readonly host: string;
  readonly port: number;
  /** `host:port`, as logs name it. */
  readonly label: string;
}

/** How a server proves who it is. */
export interface ServerTrust {
  readonly insecure: boolean;
  /** PEM; null: the system's authorities. */
  readonly ca: string | null;
  readonly pin: string | null;
}

/** A certificate that an agent shows, PEM. */
export interface ClientProof {
  readonly certificate: string;
  readonly key: Secret;
}

/** A domain with every value decided. */
export interface ResolvedAgentDomain {
  readonly name: string;
  /** Null where the certificate proves enough. */
  readonly secret: Secret | null;
  readonly proof: ClientProof | null;
  readonly identity: string | null;
  readonly remotes: readonly Remote[];
  readonly service: string;
  readonly trust: ServerTrust;
  readonly instance: string;
  readonly connections: number;
  readonly concurrency: number;
  readonly targets: readonly ResolvedRoute[];
  /** Serves what else `targets` would; null where these do. */
  readonly handler: StreamHandler | null;
  readonly ports: Readonly<Record<number, ResolvedTarget>>;
  readonly claims: readonly number[];
  /** No stream may carry two visitors: a target is told whose it is. */
  readonly streamPerVisitor: boolean;
}

/** Agent options with every value decided; the runtime never asks "was it set?". */
export interface ResolvedAgentOptions extends Readonly<Required<Omit<AgentOptions, 'domains' | 'handler'>>> {
  readonly domains: readonly ResolvedAgentDomain[];
}

const LEAST_MEMORY_BYTES = 1_000_000;

/** Checks agent options, names every problem at once (`config-invalid`), fills in the defaults, freezes the result. */
export function resolveAgentOptions(given: AgentOptions, { leastDomains = 1 } = {}): ResolvedAgentOptions {
  const misshapen = agentShapeProblems(given);
  if (misshapen.length > 0) throw new BackdialError('config-invalid', misshapen.join('; '));
  const problems: string[] = [];
  const options = {
    connectTimeoutMs: given.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    readTimeoutMs: given.readTimeoutMs ?? DEFAULTS.readTimeoutMs,
    writeTimeoutMs: given.writeTimeoutMs ?? DEFAULTS.writeTimeoutMs,
    tunnelMemoryBytes: given.tunnelMemoryBytes ?? DEFAULTS.tunnelMemoryBytes,
    memoryBytes: given.memoryBytes ?? DEFAULTS.memoryBytes,
    drainMs: given.drainMs ?? DEFAULTS.drainMs,
    exchanges: given.exchanges ?? DEFAULTS.exchanges,
    proxyEnvironment: Object.freeze({ ...(given.proxyEnvironment ?? DEFAULTS.proxyEnvironment) }),
    observer: given.observer ?? DEFAULTS.observer,
  };
  checkMs(problems, 'connectTimeoutMs', options.connectTimeoutMs, 1);
  for (const key of ['readTimeoutMs', 'writeTimeoutMs', 'drainMs'] as const) checkMs(problems, key, options[key], 0);
  for (const key of ['tunnelMemoryBytes', 'memoryBytes'] as const) {
    // With less no window would be left.
    const fits = Number.isSafeInteger(options[key]) && options[key] >= LEAST_MEMORY_BYTES;
    if (!fits) problems.push(`\`${key}\` must be a whole number of ${LEAST_MEMORY_BYTES} or more`);
  }
  if (given.domains.length < leastDomains) problems.push('`domains` is empty; give at least one');
  const names = new Set<string>();
  const domains = given.domains.map((domain) => {
    if (names.has(domain.name)) problems.push(`the domain ${domain.name} is given twice`);
    names.add(domain.name);
    return resolveDomain(withHandler(domain, given.handler), (problem) => problems.push(`${domain.name}: ${problem}`));
  });
  try {
    proxyFor(options.proxyEnvironment, 'localhost', HTTPS_PORT);
  } catch (error) {
    problems.push(asBackdialError(error, 'config-invalid').detail);
  }
  if (problems.length > 0) throw new BackdialError('config-invalid', problems.join('; '));
  return Object.freeze({ ...options, domains: Object.freeze(domains) });
}

type Report = (problem: string) => void;

function withHandler(domain: AgentDomainOptions, handler: AgentHandler | undefined): AgentDomainOptions {
  const isServed = domain.target !== undefined || domain.targets !== undefined || domain.handler !== undefined;
  return isServed || handler === undefined ? domain : { ...domain, handler };
}

function resolveDomain(given: AgentDomainOptions, report: Report): ResolvedAgentDomain {
  if (toDomain(given.name) !== given.name) report('not a domain in canonical form');
  const targets = resolveRoutes(given, report);
  const domain: ResolvedAgentDomain = {
    name: given.name,
    secret: given.secret ?? null,
    proof: resolveProof(given, report),
    identity: given.identity ?? null,
    remotes: Object.freeze(resolveRemotes(given, report)),
    service: given.service ?? DEFAULT_SERVICE,
    trust: Object.freeze({ insecure: given.insecure ?? false, ca: given.ca ?? null, pin: given.pin ?? null }),
    instance: given.instance ?? defaultInstance(),
    connections: given.connections ?? DEFAULT_CONNECTIONS,
    concurrency: given.concurrency ?? DEFAULT_CONCURRENCY,
    targets,
    handler: resolveHandler(given, report),
    ports: resolvePorts(given.ports ?? {}, report),
    claims: Object.freeze([...new Set(given.claims ?? [])]),
    streamPerVisitor: targets.some(({ proxyProtocol }) => proxyProtocol !== null),
  };
  if (!/^\/[\x21-\x7e]*$/.test(domain.service)) report('`service` must be a path that begins with /');
  if (!/^(?!-)[a-z0-9-]{1,63}(?<!-)$/.test(domain.instance)) {
    report('`instance` must be one DNS label: a-z, 0-9 and -, at most 63');
  }
  if (domain.identity !== null && !isLogin(domain.identity)) {
    report(`\`identity\` must be 1 to ${MAX_LOGIN_BYTES} bytes without a colon and control characters`);
  }
  if (domain.trust.pin !== null && !/^sha256\/[A-Za-z0-9+/]{43}=$/.test(domain.trust.pin)) {
    report('`pin` must be sha256/ and 44 characters of base64');
  }
  const fault = domain.secret === null ? null : secretFault(domain.secret.reveal());
  if (fault !== null) report(`the secret ${fault}`);
  if (domain.secret === null && domain.proof === null) report('neither a secret nor a certificate is given');
  if (domain.secret === null && domain.identity !== null) report('`identity` needs a secret');
  checkCa(domain.trust.ca, '`ca`', report);
  for (const port of domain.claims) checkCount(port, 'claims', 65_535, report);
  checkCount(domain.connections, 'connections', MAX_CONNECTIONS, report);
  checkCount(domain.concurrency, 'concurrency', 2 ** 31 - 1, report);
  return Object.freeze(domain);
}

function resolveProof({ certificate, key }: AgentDomainOptions, report: Report): ClientProof | null {
  if (certificate === undefined && key === undefined) return null;
  if (certificate === undefined || key === undefined) {
    report('`certificate` and `key` need each other');
    return null;
  }
  try {
    createSecureContext({ cert: certificate, key: key.reveal() });
  } catch (error) {
    report(`\`certificate\` and \`key\` cannot be used: ${(error as Error).message}`);
  }
  return Object.freeze({ certificate, key });
}

function resolveHandler({ handler, target, targets }: AgentDomainOptions, report: Report): StreamHandler | null {
  if (handler === undefined) return null;
  if (target !== undefined || targets !== undefined) report('both `handler` and targets are given; one is enough');
  const serve = streamHandler(handler);
  if (serve === null)
    report('`handler` must be a server of node:http, a function, or an object with a function `fetch`');
  return serve;
}

function resolveRemotes(given: AgentDomainOptions, report: Report): Remote[] {
  if (given.remote === undefined && given.name.startsWith('*.')) {
    report('a wildcard domain needs `remote`: the server to dial');
    return [];
  }
  const texts = given.remote ?? [given.name];
  if (texts.length === 0) report('`remote` is empty; give at least one server');
  const remotes = new Map<string, Remote>();
  for (const text of texts) {
    const remote = parseRemote(text);
    if (remote !== null) remotes.set(remote.label, remote);
    else report(`\`remote\`: ${text} is not host or host:port`);
  }
  return [...remotes.values()];
}

function parseRemote(text: string): Remote | null {
  const parsed = parseHostPort(text) ?? parseHostPort(text.includes(':') ? `[${text}]:443` : `${text}:443`);
  if (parsed === null || parsed.port === 0) return null;
  // Names of interfaces tell capitals from small letters.
  const host = parsed.host.replace(/^[^%]+/, (name) => name.toLowerCase()).replace(/\.$/, '');
  if (!isIPv6(host) && !/^[a-z0-9._-]+$/.test(host)) return null;
  return Object.freeze({ host, port: parsed.port, label: formatAddress({ host, port: parsed.port }) });
}

function checkMs(problems: string[], key: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > LONGEST_TIMER_MS) {
    problems.push(`\`${key}\` must be a whole number from ${least} to ${LONGEST_TIMER_MS}`);
  }
}

function checkCount(value: number, key: string, most: number, report: Report): void {
  if (!Number.isInteger(value) || value < 1 || value > most) report(`\`${key}\` must be 1 to ${most}`);
}

/** The first label of the host name, with what a DNS label cannot hold replaced. */
function defaultInstance(): string {
  const label = (hostname().split('.')[0] ?? '').toLowerCase();
  const clean = label.replace(/[^a-z0-9-]/g, '-').replace(/^-+|-+$/g, '');
  return clean.slice(0, 63).replace(/-+$/, '') || 'agent';
}
