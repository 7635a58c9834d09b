import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { formatAddress, type ListenAddress } from '../core/address.ts';
import type { DomainOptions, ServerOptions } from '../server/options.ts';
import { type ApiSettings, readApi } from './api-settings.ts';
import { readBackend, readSni } from './backends.ts';
import { readCertificates } from './certificates.ts';
import { readClients } from './clients.ts';
import { type DomainFile, domainFolder, listDomainFiles } from './domain-folder.ts';
import type { Findings } from './findings.ts';
import { readGrants, readIdentities } from './grants.ts';
import { readListeners } from './listeners.ts';
import {
  failed,
  type Loaded,
  type LoadOptions,
  loaded,
  noneActive,
  renamed,
  stateFolder,
  withFiles,
} from './loaded.ts';
import { type LogSettings, readLog, SERVER_LOG_KEYS } from './log-settings.ts';
import { readNetworks } from './networks.ts';
import { readAuthorityFile } from './pem.ts';
import { readProxy } from './proxy.ts';
import { readSecrets } from './secrets.ts';
import { isObject, type Place, Section } from './section.ts';
import { SERVER_DOMAIN_KEYS, serverKeys } from './server-keys.ts';
import { openSource } from './source.ts';

/** A server's configuration. */
export interface ServerConfig {
  /** For `createServer`; `certificates` is empty where none is configured: then one must be made. No `observer`. */
  readonly options: ServerOptions;
  /** Domains that have a file but are not active. */
  readonly inactive: readonly string[];
  /** Folder for what must outlive a restart; absolute. It need not exist. */
  readonly state: string;
  /** Null: there is no admin API. */
  readonly admin: ApiSettings | null;
  readonly log: LogSettings;
}

const DEFAULT_LISTEN: ServerOptions['listen'] = [
  { host: '0.0.0.0', port: 443 },
  { host: '::', port: 443 },
];

const OPTIONS = {
  name: 'name',
  service: 'service',
  maxHeaderBytes: 'headersSize',
  maxBodyBytes: 'bodySize',
  idleTimeoutMs: 'idleTimeout',
  readTimeoutMs: 'readTimeout',
  writeTimeoutMs: 'writeTimeout',
  maxConnections: 'connections',
  maxConnectionsPerAddress: 'connectionsPerAddress',
  unavailableStatus: 'unavailable',
  transaction: 'transaction',
  redirect: 'redirect',
  tunnelMemoryBytes: 'tunnelMemory',
  memoryBytes: 'memory',
  drainMs: 'drain',
} as const;

const DOMAIN_OPTIONS = {
  tls: 'tls',
  proxyProtocol: 'proxyProtocol',
  listen: 'listen',
  concurrency: 'concurrency',
  balance: 'balance',
  maxBodyBytes: 'bodySize',
  transaction: 'transaction',
  unavailableStatus: 'unavailable',
} as const;

const KEYS: Readonly<Record<string, string>> = {
  ...OPTIONS,
  ...DOMAIN_OPTIONS,
  secrets: 'secret',
};

/** The key of a file that an option of a server, or of one of its domains, comes from. */
export function serverKeyOf(option: string): string {
  return KEYS[option] ?? option;
}

/** Loads a server's file and its folder of domains (design 6.2, 6.3). Never throws for what is in a file. */
export async function loadServer(file: string, options: LoadOptions = {}): Promise<Loaded<ServerConfig>> {
  return withFiles(options, async (findings) => {
    const main = await readServerFile(file, findings);
    return main === null ? failed(findings) : loadMain(file, main, { findings, options });
  });
}

async function loadMain(
  file: string,
  { fields, section, folder }: ServerFile,
  { findings, options }: { readonly findings: Findings; readonly options: LoadOptions },
): Promise<Loaded<ServerConfig>> {
  const listen = (await readListeners(section.child('listen'), resolve(dirname(file)))) ?? DEFAULT_LISTEN;
  const certificates = await readCertificates(section.child('certificates'), resolve(dirname(file)));
  const grants = await readIdentities(section.child('grants'), dirname(file));
  const proxy = await readProxy(section.child('proxy'), file);
  const log = await readLog(section.child('log'), SERVER_LOG_KEYS, {
    folder: resolve(dirname(file)),
    inForce: options.logFiles,
  });
  const admin = await readApi(section.child('admin'), resolve(dirname(file)));
  const sni = readSni(section.child('sni'), resolve(dirname(file)));
  const claims = new Claims(findings);
  const frontDoors = listen.map((each) => ('address' in each ? each.address : each));
  claims.add(frontDoors, 'the front door', () => section.place(['listen']));
  claims.add(fields.redirect ?? [], '`redirect`', () => section.place(['redirect']));
  claims.add(proxy?.listen ?? [], '`proxy`', () => section.place(['proxy']));
  claims.add(admin?.listen ?? [], '`admin`', () => section.place(['admin', 'listen']));
  const domains: DomainOptions[] = [];
  const inactive: string[] = [];
  const files = await listDomainFiles(folder, section, findings);
  for (const each of files) {
    const domain = await findings.once(each.file, (own) => readDomain(each, own));
    if (domain === null) continue;
    if (!domain.active) inactive.push(domain.options.name);
    else {
      domains.push(domain.options);
      if (domain.listenAt !== null) claims.add(domain.options.listen ?? [], domain.options.name, domain.listenAt);
    }
  }
  refuseDomainNames(section, new Set([...domains.map(({ name }) => name), ...inactive]));
  if (domains.length === 0 && findings.problems.length === 0) section.warn(noneActive(inactive), ['domains']);
  return loaded(findings, {
    options: {
      ...renamed(fields, OPTIONS),
      listen,
      certificates,
      domains,
      inactive,
      ...(sni === null ? {} : { sni }),
      ...(grants.length === 0 ? {} : { grants }),
      ...(proxy === null ? {} : { proxy }),
    },
    inactive,
    state: stateFolder(file, fields.state, options),
    admin,
    log,
  });
}

type ServerFile = NonNullable<Awaited<ReturnType<typeof readServerFile>>>;

/** Reads a server's file alone; null after a problem with the file itself. */
export async function readServerFile(file: string, findings: Findings) {
  const source = await openSource(file, findings);
  if (source === null) return null;
  const section = new Section(source, findings);
  const fields = section.read(serverKeys(resolve(dirname(file))));
  return { fields, section, folder: domainFolder(file, fields.domains) };
}

async function readDomain({ name, file }: DomainFile, findings: Findings) {
  const source = await openSource(file, findings);
  if (source === null) return null;
  const section = new Section(source, findings);
  const fields = section.read(SERVER_DOMAIN_KEYS);
  for (const key of ['remote', 'targets'].filter((one) => section.child(one) !== null).slice(0, 1)) {
    section.problem(
      "a file with this key is an agent's; it belongs in the folder of domains of an agent",
      [key],
      'key',
    );
  }
  const active = fields.active ?? false;
  const given = section.child('secret');
  const folder = resolve(dirname(file));
  const secrets = await readSecrets(given, { folder, hashes: true });
  const backend = section.child('target');
  const target = readBackend(backend, folder);
  const authorities = fields.certificates === undefined ? null : section.child('certificates');
  const certificates = authorities === null ? null : await readAuthorityFile(authorities, folder);
  if (
    active &&
    backend === null &&
    authorities === null &&
    secrets.length === 0 &&
    (given === null || given.value === '' || given.items().length === 0)
  ) {
    section.problem('found none; an active domain needs one, or `certificates`, or a `target`: nobody could serve it', [
      'secret',
    ]);
  }
  if (fields.proxyProtocol !== undefined && backend === null) {
    section.problem('found without a `target`, which alone is told by it; allowed: null', ['proxyProtocol']);
  }
  const networks = section.child('networks');
  const forward = section.child('forward');
  const clients = await readClients(section.child('clients'), folder);
  const grants = readGrants(section.child('grants'));
  const options: DomainOptions = Object.freeze({
    ...renamed(fields, DOMAIN_OPTIONS),
    name,
    secrets,
    ...(certificates === null ? {} : { certificates }),
    ...(target === null ? {} : { target }),
    ...(networks === null ? {} : { networks: readNetworks(networks) }),
    ...(forward === null ? {} : { forward: readNetworks(forward) }),
    ...(clients === null ? {} : { clients }),
    ...(grants === null ? {} : { grants }),
  });
  refuseUnaskable(section, options);
  if (name.startsWith('*.') && (options.listen ?? []).length > 0) {
    section.problem('found in the file of a wildcard; TCP visitors name no host: allowed in files of one domain', [
      'listen',
    ]);
  }
  // Kept with the file, which a domain without ports of its own need not.
  const listenAt = fields.listen === undefined ? null : () => section.place(['listen']);
  return { active, options, listenAt };
}

/** What only HTTP can ask for must not seem to guard a TCP port, or TLS that is not ended here. */
function refuseUnaskable(section: Section, { listen = [], tls, clients = {} }: DomainOptions): void {
  const { credentials = [], certificates = null } = clients;
  const asked = { credentials: credentials.length > 0, certificates: certificates !== null };
  const inTls = 'found beside `tls: "passthrough"`, where it cannot be asked for; allowed: one of the two';
  for (const [key, isAsked] of Object.entries(asked)) {
    const message = 'found beside `listen`, on whose TCP ports it cannot be asked for; allowed: one of the two';
    if (isAsked && listen.length > 0) section.problem(message, ['clients', key]);
    else if (isAsked && tls === 'passthrough') section.problem(inTls, ['clients', key]);
  }
}

/** Whoever holds a domain's secret has that domain's name already. */
function refuseDomainNames(main: Section, domains: ReadonlySet<string>): void {
  for (const item of main.child('grants')?.items() ?? []) {
    const { value } = item;
    const name = isObject(value) ? value.identity : null;
    if (typeof name !== 'string' || !domains.has(name)) continue;
    item.problem(`${name} is a domain; what its holder may do beside it is \`grants\` of the domain's file`, [
      'identity',
    ]);
  }
}

/** Who listens where. Two listeners at one address: the later one is refused (features 5.5). */
class Claims {
  readonly #findings: Findings;
  readonly #taken = new Map<string, string>();
  /** TCP addresses by port. */
  readonly #ports = new Map<number, { readonly host: string; readonly owner: string }[]>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  add(addresses: readonly ListenAddress[], owner: string, place: () => Place): void {
    for (const address of addresses) {
      const text = formatAddress(address);
      const before = this.#taken.get(text) ?? this.#overlapping(address);
      if (before !== undefined) {
        this.#findings.problem({ ...place(), message: `${text} is taken by ${before}` });
        continue;
      }
      // The system chooses another port each time.
      if ('port' in address && address.port === 0) continue;
      this.#taken.set(text, owner);
      if (!('port' in address)) continue;
      const others = this.#ports.get(address.port) ?? [];
      this.#ports.set(address.port, [...others, { host: address.host, owner }]);
    }
  }

  /** Who has the same port at every address of the machine, or at one where it is asked for at every one. */
  #overlapping(address: ListenAddress): string | undefined {
    if (!('port' in address)) return undefined;
    const { host, port } = address;
    const everywhere = isIP(host) === 6 ? '::' : '0.0.0.0';
    for (const other of this.#ports.get(port) ?? []) {
      if (isIP(host) === 0 || isIP(other.host) !== isIP(host)) continue;
      if (host === everywhere || other.host === everywhere)
        return `${other.owner} at ${formatAddress({ ...other, port })}`;
    }
    return undefined;
  }
}
