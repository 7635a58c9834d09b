import { readFileSync, statSync } from 'node:fs';
import type { AgentDomainOptions, TargetAddress } from '../agent/options.ts';
import { parseRemote } from '../config/addresses.ts';
import { withAdvice } from '../config/advice.ts';
import { unusable } from '../config/read-file.ts';
import { BackdialError } from '../core/errors.ts';
import { isCanonicalName, toDomain } from '../core/host-name.ts';
import { Secret } from '../core/secret.ts';
import { isWeakSecret, secretFault } from '../core/secret-rules.ts';
import type { QuickArguments } from './quick-flags.ts';
import { withoutLogin } from './target.ts';

/** A quick agent's domain, and what its user should know about it. */
export interface QuickOptions {
  readonly domain: AgentDomainOptions;
  /** `host:port` as it is dialled. */
  readonly server: string;
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the flags and the environment say of a server and who claims a domain there; null where they say nothing. */
export interface ServerFlags {
  readonly server: string;
  readonly name: string | null;
  readonly secret: Secret | null;
  /** The rest, as a domain's options. */
  readonly more: Pick<AgentDomainOptions, 'identity' | 'insecure' | 'ca' | 'pin' | 'instance'>;
  readonly warnings: readonly string[];
}

/**
 * Flags first, then the environment. Fails with `usage` when the server, the domain or the secret is missing and with
 * `input-invalid` when a value is wrong.
 */
export function quickOptions(flags: QuickArguments, target: TargetAddress, env: Environment): QuickOptions {
  const { server, name, secret, more, warnings } = serverFlags(flags, env);
  const domain = {
    name: required(name, '--domain', 'DOMAIN'),
    secret: required(secret, '--secret-file', 'SECRET_FILE, BACKDIAL_SECRET'),
    target,
    remote: [server],
    ...more,
  };
  return { server, warnings, domain };
}

/** As {@link quickOptions}, but only the server is needed. */
export function serverFlags(flags: QuickArguments, env: Environment): ServerFlags {
  const warnings: string[] = [];
  const server = parseServer(required(flags.server ?? variable(env, 'SERVER'), '--server', 'SERVER'));
  const named = flags.domain ?? variable(env, 'DOMAIN');
  const name = named === undefined ? null : parseDomain(named);
  const secret = readSecret(flags, env, warnings);
  const pin = flags.pin ?? variable(env, 'PIN');
  const instance = flags.instance ?? variable(env, 'INSTANCE');
  if (pin !== undefined && !/^sha256\/[A-Za-z0-9+/]{43}=$/.test(pin)) {
    throw new BackdialError('input-invalid', `the pin \`${pin}\`: sha256/ and 44 characters of base64 are allowed`);
  }
  if (instance !== undefined && (instance.includes('.') || !isCanonicalName(instance))) {
    throw new BackdialError('input-invalid', `the instance \`${instance}\`: one label of a-z, 0-9 and - is allowed`);
  }
  const more = {
    ...(flags.identity === undefined ? {} : { identity: flags.identity }),
    ...(flags.insecure === true ? { insecure: true } : {}),
    ...(flags.ca === undefined ? {} : { ca: readText(flags.ca, '--ca', 'is its path right?') }),
    ...(pin === undefined ? {} : { pin }),
    ...(instance === undefined ? {} : { instance }),
  };
  return { server, name, secret, more, warnings };
}

/** An empty variable counts as none: that is how compose files and shells leave one out. */
function variable(env: Environment, name: string): string | undefined {
  const value = env[`BACKDIAL_${name}`];
  return value === '' ? undefined : value;
}

function required<T>(value: T | null | undefined, flag: string, name: string): T {
  if (value === undefined || value === null)
    throw new BackdialError('usage', `${flag} is missing (or BACKDIAL_${name})`);
  return value;
}

function parseServer(text: string): string {
  const remote = parseRemote(text);
  if (remote !== null) return remote;
  throw new BackdialError('input-invalid', `the server \`${withoutLogin(text)}\`: HOST or HOST:PORT is allowed`);
}

function parseDomain(text: string): string {
  const name = toDomain(text);
  if (name === null) throw new BackdialError('input-invalid', `the domain \`${text}\` is not a valid host name`);
  return name;
}

function readSecret(flags: QuickArguments, env: Environment, warnings: string[]): Secret | null {
  if (flags.secret !== undefined && flags.secretFile !== undefined) {
    throw new BackdialError('usage', '--secret and --secret-file were both given; one is enough');
  }
  if (flags.secret !== undefined) {
    warnings.push('--secret: everyone on this machine can read it in the list of processes; --secret-file is safer');
  }
  const file = flags.secretFile ?? (variable(env, 'SECRET') === undefined ? variable(env, 'SECRET_FILE') : undefined);
  const value = flags.secret ?? (file === undefined ? variable(env, 'SECRET') : readSecretFile(file, warnings));
  if (value === undefined) return null;
  const fault = secretFault(value);
  if (fault !== null) throw new BackdialError('input-invalid', `the secret ${fault}`);
  if (isWeakSecret(value)) warnings.push('the secret is short; 16 characters or more are advised');
  return new Secret(value);
}

function readSecretFile(file: string, warnings: string[]): string {
  const text = readText(
    file,
    '--secret-file',
    'write the secret to it (`backdial domain add NAME` on the server prints one)',
  ).replace(/\r?\n$/, '');
  if ((statSync(file).mode & 0o007) !== 0) warnings.push(`${file}: others may read it (chmod 600)`);
  return text;
}

function readText(file: string, flag: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const fault = withAdvice(file, unusable(error), otherwise);
    throw new BackdialError('input-invalid', `${flag}: the file ${file} ${fault}`, { cause: error });
  }
}
