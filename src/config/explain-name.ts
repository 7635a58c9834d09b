import { allowsConnection } from '../core/connect-grant.ts';
import { covers, wildcardOf } from '../core/host-name.ts';
import { NameTable } from '../core/name-table.ts';
import type { ConnectGrant, DomainOptions, GrantOptions, ServerOptions } from '../server/options.ts';
import { type DomainFile, listDomainFiles } from './domain-folder.ts';
import { Findings } from './findings.ts';
import { readServerFile } from './load-server.ts';
import type { KeyPath } from './problems.ts';
import { Section } from './section.ts';
import { openSource } from './source.ts';

/** A name that is asked about. */
export interface AskedName {
  /** Canonical. */
  readonly name: string;
  /** Null: none was named, which means 80 and 443. */
  readonly port: number | null;
}

/** Whose grants they are, and the part of a file that has them. */
interface Granting {
  readonly who: string;
  readonly grants: GrantOptions;
  /** Of the object with the lists. */
  readonly section: Section;
}

/**
 * Who may claim a name as an agent, and who may reach it, each with the file and line that says so. `options` are those of
 * the same files, without a problem.
 */
export async function explainName(file: string, options: ServerOptions, asked: AskedName): Promise<string[]> {
  const findings = new Findings();
  const main = await readServerFile(file, findings);
  if (main === null) return [];
  const files = await listDomainFiles(main.folder, main.section, findings);
  const sections = new Map<string, Section>();
  for (const each of files) {
    const section = await sectionOf(each, findings);
    if (section !== null) sections.set(each.name, section);
  }
  return new Explanation(options, main.section, sections).of(asked);
}

async function sectionOf({ file }: DomainFile, findings: Findings): Promise<Section | null> {
  const source = await openSource(file, findings);
  return source === null ? null : new Section(source, findings);
}

/** What has a name: a domain's file, or no file but a grant. */
interface Named {
  readonly name: string;
  readonly options: DomainOptions | null;
}

/** What rules a name. */
interface Rule {
  /** The domain that agents register. */
  readonly domain: string;
  /** Null: no file, only a grant. */
  readonly options: DomainOptions | null;
  readonly section: Section | null;
}

class Explanation {
  readonly #options: ServerOptions;
  readonly #main: Section;
  readonly #sections: ReadonlyMap<string, Section>;
  readonly #granting: readonly Granting[];
  readonly #table: NameTable<Named>;

  constructor(options: ServerOptions, main: Section, sections: ReadonlyMap<string, Section>) {
    this.#options = options;
    this.#main = main;
    this.#sections = sections;
    const items = main.child('grants')?.items() ?? [];
    const identities = (options.grants ?? []).flatMap((grants, index): Granting[] => {
      const section = items[index];
      return section === undefined ? [] : [{ who: `identity ${grants.identity}`, grants, section }];
    });
    const holders = options.domains.flatMap(({ name, grants }): Granting[] => {
      const section = sections.get(name)?.child('grants') ?? null;
      return section === null || grants === undefined ? [] : [{ who: `whoever serves ${name}`, grants, section }];
    });
    this.#granting = [...identities, ...holders];
    const named = options.domains.map((domain): Named => ({ name: domain.name, options: domain }));
    const granted = new Set(this.#granting.flatMap(({ grants }) => grants.domains ?? []));
    for (const { name } of named) granted.delete(name);
    this.#table = new NameTable(
      named,
      options.inactive,
      Array.from(granted, (name) => ({ name, options: null })),
    );
  }

  of({ name, port }: AskedName): string[] {
    const rule = this.#rule(name);
    if (rule === null) {
      const inactive = [name, wildcardOf(name)].find((each) => (this.#options.inactive ?? []).includes(each ?? ''));
      const section = inactive == null ? undefined : this.#sections.get(inactive);
      if (section === undefined)
        return [`${name}: no file covers it and no grant names it; nobody may claim or reach it`];
      return [`${name}: not active; nobody may claim or reach it`, line('`active`', section, ['active'])];
    }
    const asked = port === null ? name : `${name}:${port}`;
    const ruled = rule.section === null ? 'the defaults: it has no file' : rule.section.source.file;
    return [
      `${name}: ruled by ${ruled}`,
      ...(rule.domain === name ? [] : [`  an instance of ${rule.domain}`]),
      `${rule.domain} may be claimed by`,
      ...orNobody(this.#claimers(rule)),
      `${asked} may be reached by`,
      ...orNobody([...this.#visitors(rule, { name, port }), ...this.#connecting(rule, { name, port })]),
      ...this.#limits(rule),
    ];
  }

  /** As the server finds it. */
  #rule(name: string): Rule | null {
    const match = this.#table.resolve(name);
    if (match === null) return null;
    const { policy, domain } = match;
    return { domain, options: policy.options, section: this.#sections.get(policy.name) ?? null };
  }

  #claimers({ domain, options, section }: Rule): string[] {
    const lines: string[] = [];
    if (options !== null && section !== null) {
      const { secrets, certificates = null } = options;
      if (secrets.length > 0) lines.push(line(`whoever shows the secret of ${options.name}`, section, ['secret']));
      if (certificates !== null) lines.push(line('whoever has a certificate for it', section, ['certificates']));
    }
    for (const { who, grants, section: at } of this.#granting) {
      for (const [index, pattern] of (grants.domains ?? []).entries()) {
        if (covers(pattern, domain)) lines.push(line(`${who}: "${pattern}"`, at, ['domains', index]));
      }
    }
    const isLimited = (options?.networks ?? []).length > 0 && section !== null;
    return isLimited && lines.length > 0
      ? [...lines, line('all of them only from its networks', section, ['networks'])]
      : lines;
  }

  /** Those who need no grant. */
  #visitors({ domain, options, section }: Rule, { name, port }: AskedName): string[] {
    const lines: string[] = [];
    const isTarget = port === null || port === 80 || port === 443;
    if (domain === name && isTarget) {
      const how = options?.tls === 'passthrough' ? 'TLS, passed through' : 'HTTPS';
      lines.push(line(`visitors of the front door, by ${how}`, this.#main, ['listen']));
    }
    for (const address of domain === name ? (options?.listen ?? []) : []) {
      const isAsked = port === null || ('port' in address && address.port === port);
      if (isAsked && section !== null && 'port' in address) {
        lines.push(line(`visitors of TCP port ${address.port} at ${address.host}`, section, ['listen']));
      }
    }
    const { proxy = null } = this.#options;
    if (proxy === null) return lines;
    const who = (proxy.credentials ?? []).length > 0 ? 'logins of the proxy' : 'programs of this machine, by the proxy';
    lines.push(line(who, this.#main, ['proxy']));
    return lines;
  }

  #connecting({ domain }: Rule, { name, port }: AskedName): string[] {
    return this.#granting.flatMap(({ who, grants, section }) =>
      (grants.connect ?? []).flatMap((grant, index) => {
        return allowsConnection(grant, { name, domain, port })
          ? [line(`${who}: "${formatGrant(grant)}"`, section, ['connect', index])]
          : [];
      }),
    );
  }

  /** What holds for all of them. */
  #limits({ options, section }: Rule): string[] {
    const { networks = [], ranges = [], credentials = [], certificates = null } = options?.clients ?? {};
    const said: readonly (readonly [boolean, string, string])[] = [
      [networks.length > 0, 'only from its networks', 'networks'],
      [ranges.length > 0, 'only at its hours', 'ranges'],
      [credentials.length > 0, 'only with a login (HTTP; no byte stream to ports 80 and 443)', 'credentials'],
      [
        certificates !== null,
        'only with a client certificate (HTTPS; no byte stream to ports 80 and 443)',
        'certificates',
      ],
    ];
    const lines = said.flatMap(([holds, text, key]) =>
      holds && section !== null ? [line(text, section, ['clients', key])] : [],
    );
    return lines.length === 0 ? [] : ['for all of them', ...lines];
  }
}

function line(text: string, section: Section, path: KeyPath): string {
  const { file, line: at, column } = section.place(path);
  return `  ${text}  (${file}:${at}:${column})`;
}

function orNobody(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['  nobody'] : lines;
}

function formatGrant({ name, ports }: ConnectGrant): string {
  if (ports === null) return name;
  return `${name}:${ports.first === ports.last ? ports.first : `${ports.first}-${ports.last}`}`;
}
