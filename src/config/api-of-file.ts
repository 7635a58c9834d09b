import { dirname, resolve } from 'node:path';
import { type ApiSettings, readApi } from './api-settings.ts';
import { Findings } from './findings.ts';
import { type ConfigKind, kindOf } from './kind.ts';
import type { Problem } from './problems.ts';
import { Section } from './section.ts';
import { openSource } from './source.ts';

/** The API that a file configures. */
export interface ApiOfFile {
  readonly kind: ConfigKind;
  /** Null: the file has none. */
  readonly api: ApiSettings | null;
  /** Of these keys and of the file as such; the rest is not looked at. */
  readonly problems: readonly Problem[];
}

/** Reads `admin` of a server's file, or `api` of an agent's, and nothing else: folders of thousands of domains are left alone. */
export async function apiOfFile(file: string): Promise<ApiOfFile> {
  const kind = await kindOf(file);
  const findings = new Findings();
  const source = await openSource(file, findings);
  const section = source === null ? null : new Section(source, findings).child(kind === 'server' ? 'admin' : 'api');
  const api = await readApi(section, resolve(dirname(file)));
  return { kind, api, problems: findings.problems };
}
