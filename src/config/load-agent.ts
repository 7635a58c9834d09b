import { dirname, resolve } from 'node:path';
import type { AgentDomainOptions, AgentOptions } from '../agent/options.ts';
import { Secret } from '../core/secret.ts';
import { AGENT_DOMAIN_KEYS, AGENT_KEYS } from './agent-keys.ts';
import { type ApiSettings, readApi } from './api-settings.ts';
import { type DomainFile, domainFolder, listDomainFiles } from './domain-folder.ts';
import type { Findings } from './findings.ts';
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
import { AGENT_LOG_KEYS, type LogSettings, readLog } from './log-settings.ts';
import { readCertificateFile, readKeyFile, warnOfEnd } from './pem.ts';
import { readPorts, readRoutes } from './routes.ts';
import { readSecrets } from './secrets.ts';
import { isObject, Section } from './section.ts';
import { openSource, type Source } from './source.ts';

/** An agent's configuration. */
export interface AgentConfig {
  /** For `createAgent`, which refuses an empty `domains`. No `observer`, `exchanges` or `proxyEnvironment`. */
  readonly options: AgentOptions;
  /** Domains that have a file but are not active. */
  readonly inactive: readonly string[];
  /** Folder for what must outlive a restart; absolute. It need not exist. */
  readonly state: string;
  /** Null: there is no API. */
  readonly api: ApiSettings | null;
  readonly log: LogSettings;
}

const OPTIONS = {
  connectTimeoutMs: 'connectTimeout',
  readTimeoutMs: 'readTimeout',
  writeTimeoutMs: 'writeTimeout',
  tunnelMemoryBytes: 'tunnelMemory',
  memoryBytes: 'memory',
  drainMs: 'drain',
} as const;

const DOMAIN_OPTIONS = {
  identity: 'identity',
  service: 'service',
  insecure: 'insecure',
  pin: 'pin',
  instance: 'instance',
  connections: 'connections',
  concurrency: 'concurrency',
} as const;

const KEYS: Readonly<Record<string, string>> = {
  ...OPTIONS,
  ...DOMAIN_OPTIONS,
  remotes: 'remote',
  trust: 'insecure, ca or pin',
  proof: 'certificate, key',
  exchanges: 'log.access',
};

/** The key of a file that an option of an agent, or of one of its domains, comes from. */
export function agentKeyOf(option: string): string {
  return KEYS[option] ?? option;
}

/** Loads an agent's file and its folder of domains (design 6.4). Never throws for what is in a file. */
export async function loadAgent(file: string, options: LoadOptions = {}): Promise<Loaded<AgentConfig>> {
  return withFiles(options, async (findings) => {
    const source = await openSource(file, findings);
    return source === null ? failed(findings) : loadMain(file, source, { findings, options });
  });
}

async function loadMain(
  file: string,
  source: Source,
  { findings, options }: { readonly findings: Findings; readonly options: LoadOptions },
): Promise<Loaded<AgentConfig>> {
  const section = new Section(source, findings);
  const fields = section.read(AGENT_KEYS);
  if (section.child('listen') !== null) {
    section.problem("a file with this key is a server's; run `backdial server` with it", ['listen'], 'key');
  }
  const log = await readLog(section.child('log'), AGENT_LOG_KEYS, {
    folder: resolve(dirname(file)),
    inForce: options.logFiles,
  });
  const api = await readApi(section.child('api'), resolve(dirname(file)));
  const domains: AgentDomainOptions[] = [];
  const inactive: string[] = [];
  const files = await listDomainFiles(domainFolder(file, fields.domains), section, findings);
  for (const each of files) {
    const domain = await findings.once(each.file, (own) => readDomain(each, own));
    if (domain === 'inactive') inactive.push(each.name);
    else if (domain !== null) domains.push(domain);
  }
  if (domains.length === 0 && findings.problems.length === 0) section.warn(noneActive(inactive), ['domains']);
  return loaded(findings, {
    options: { ...renamed(fields, OPTIONS), domains },
    inactive,
    state: stateFolder(file, fields.state, options),
    api,
    log,
  });
}

/** Null after a problem. */
async function readDomain(
  { name, file }: DomainFile,
  findings: Findings,
): Promise<AgentDomainOptions | 'inactive' | null> {
  const source = await openSource(file, findings);
  if (source === null) return null;
  const section = new Section(source, findings);
  const folder = resolve(dirname(file));
  const fields = section.read(AGENT_DOMAIN_KEYS);
  const active = fields.active ?? false;
  const certified = fields.certificate !== undefined;
  const secret = await readSecret(section, folder, active && !certified);
  const proof = await readProof(section, folder, certified, fields.key !== undefined);
  const caSection = fields.ca === undefined ? null : section.child('ca');
  const ca = caSection === null ? undefined : await readCertificateFile(caSection, folder);
  const targets = await readRoutes(section.child('targets'), folder, active);
  const ports = readPorts(section.child('ports'), folder);
  checkGiven(section, active);
  if (active && certified && secret === null && fields.identity !== undefined) {
    section.problem('found without a `secret`, with which alone it is shown; allowed: null', ['identity']);
  }
  const remote = fields.remote ?? [`${name}:443`];
  if (remote.length === 0) section.problem('found an empty list; allowed: at least one server, or null', ['remote']);
  if (active && fields.remote === undefined && name.startsWith('*.')) {
    section.problem('found nothing; a wildcard domain needs the server to dial', ['remote']);
  }
  // With a pin it opens nothing.
  if (active && fields.insecure === true && (fields.pin ?? null) === null) {
    section.warn('any certificate of the server is accepted, so who sits between can read the secret; use `pin`', [
      'insecure',
    ]);
  }
  if (!active) return 'inactive';
  if ((secret === null && !certified) || proof === null || ca === null) return null;
  const own = { name, ...(secret === null ? {} : { secret }), ...proof, remote, targets, ports };
  return { ...renamed(fields, DOMAIN_OPTIONS), ...(ca === undefined ? {} : { ca }), ...own };
}

/** The certificate that the agent shows, and its key; an empty object where it has none, null after a problem. */
async function readProof(main: Section, folder: string, certified: boolean, keyed: boolean) {
  if (certified !== keyed) {
    const [missing, there] = certified ? ['key', 'certificate'] : ['certificate', 'key'];
    main.problem(`found nothing beside \`${there}\`; the two need each other`, [missing]);
    return null;
  }
  const [certificateSection, keySection] = [main.child('certificate'), main.child('key')];
  if (!certified || certificateSection === null || keySection === null) return {};
  const certificate = await readCertificateFile(certificateSection, folder);
  const key = await readKeyFile(keySection, folder, certificate);
  if (certificate === null || key === null) return null;
  warnOfEnd(certificateSection, certificate);
  return { certificate, key: new Secret(key) };
}

/** An active domain needs something to join streams to. */
function checkGiven(main: Section, active: boolean): void {
  const [targets, ports] = [main.child('targets'), main.child('ports')];
  const isEmpty = targets === null || targets.items().length === 0;
  const hasPorts = ports !== null && !(isObject(ports.value) && Object.keys(ports.value).length === 0);
  if (!isEmpty || hasPorts || !(active || targets !== null)) return;
  main.problem('found nothing; allowed: one entry such as { target: "http://127.0.0.1:3000" }, or a list', ['targets']);
}

async function readSecret(main: Section, folder: string, active: boolean) {
  const section = main.child('secret');
  if (section !== null && Array.isArray(section.value)) {
    section.problem('found a list; allowed: a text or "@file"');
    return null;
  }
  const [secret] = await readSecrets(section, { folder, hashes: false });
  if (secret === undefined && active && (section === null || section.value === '')) {
    main.problem('found none; an active domain needs one, or a `certificate`', ['secret']);
  }
  return secret ?? null;
}
