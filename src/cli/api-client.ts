import { statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { apiOfFile } from '../config/api-of-file.ts';
import { formatAddress, type SocketAddress } from '../core/address.ts';
import { BackdialError, isErrorCode } from '../core/errors.ts';
import { isLocalAddress } from '../core/loopback.ts';
import { Secret } from '../core/secret.ts';
import { reportProblems } from './load-config.ts';
import { withoutLogin } from './target.ts';

/** Where an API is said to be: its address, or the file of whoever has it. */
export interface ApiPlace {
  readonly url?: string | undefined;
  readonly config?: string | undefined;
}

/** Files that are looked for where neither is given: the first that has an API counts. The Debian package installs both. */
const DEFAULT_FILES = ['/etc/backdial/server.json5', '/etc/backdial/agent.json5'];
const TIMEOUT_MS = 10_000;
const EXAMPLE = { server: '`admin: { listen: "127.0.0.1:9090" }`', agent: '`api: { listen: "127.0.0.1:9091" }`' };

/** What the API answered; the body is not parsed. */
export interface ApiReply {
  readonly status: number;
  readonly text: string;
}

/** The API of a server or an agent that runs, seen from the command line. */
export class ApiClient {
  /** For people. */
  readonly where: string;
  readonly #target: { readonly host: string; readonly port: number } | { readonly socketPath: string };
  readonly #token: Secret | null;

  constructor(address: SocketAddress, token: Secret | null) {
    const reached = reachable(address);
    this.where = formatAddress(reached);
    this.#target = 'path' in reached ? { socketPath: reached.path } : reached;
    this.#token = token;
  }

  /** Asks; any status is an answer. Fails with `api-unreachable`. */
  ask(method: string, path: string): Promise<ApiReply> {
    const { promise, resolve, reject } = Promise.withResolvers<ApiReply>();
    const fail = (error: NodeJS.ErrnoException) => reject(this.#unreachable(error));
    const headers: Record<string, string> = { Host: 'localhost', Accept: 'application/json' };
    if (this.#token !== null) {
      headers.Authorization = `Bearer ${Buffer.from(this.#token.reveal(), 'utf8').toString('latin1')}`;
    }
    const asked = httpRequest({ ...this.#target, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.setTimeout(TIMEOUT_MS, () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)));
    asked.on('error', fail);
    asked.end();
    return promise;
  }

  /** Asks for JSON. Fails with the error that the API names, or `api-unreachable`. */
  async json<T>(path: string, method = 'GET'): Promise<T> {
    const { status, text } = await this.ask(method, path);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new BackdialError(
        'api-unreachable',
        `${this.where} answered ${status} without JSON: is it Backdial's API?`,
      );
    }
    if (status < 400) return value as T;
    const { error, message } = value as { error?: string; message?: string };
    if (error === 'api-token') throw this.#tokenError();
    const code = error !== undefined && isErrorCode(error) ? error : 'api-unreachable';
    throw Object.assign(new BackdialError(code), { message: `${this.where}: ${message ?? status}` });
  }

  #tokenError(): BackdialError {
    const how = this.#token === null ? 'none was sent: name the file with -c, or set' : 'another one was sent: mend';
    return new BackdialError('api-token', `${this.where}; ${how} BACKDIAL_TOKEN`);
  }

  #unreachable(error: NodeJS.ErrnoException): BackdialError {
    const silent = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
    const why = silent
      ? `nothing listens at ${this.where}: does the program run, and did it start with this setting?`
      : `${this.where}: ${error.message}`;
    return new BackdialError('api-unreachable', why, { cause: error });
  }
}

/**
 * The API at a URL, or the one that a file configures; without either, that of the first of the usual files that has one. The
 * token is that of the file, or BACKDIAL_TOKEN. Fails with `input-invalid` and `config-invalid`.
 */
export async function openApiClient({ url, config }: ApiPlace): Promise<ApiClient> {
  const { BACKDIAL_TOKEN: text } = process.env;
  const given = text === undefined || text === '' ? null : new Secret(text);
  if (url !== undefined) return new ApiClient(parseUrl(url), given);
  const files = config === undefined ? DEFAULT_FILES.filter(isThere) : [config];
  if (files.length === 0) {
    throw new BackdialError(
      'input-invalid',
      `there is no ${DEFAULT_FILES.join(' and no ')}; name a file with -c, or --url`,
    );
  }
  const lacking: string[] = [];
  for (const file of files) {
    const { kind, api, problems } = await apiOfFile(file);
    if (problems.length > 0) return reportProblems(file, problems);
    const [first] = api?.listen.toSorted((a, b) => Number(isLocalAddress(b)) - Number(isLocalAddress(a))) ?? [];
    if (api !== null && first !== undefined) return new ApiClient(first, given ?? api.token);
    const key = kind === 'server' ? 'admin' : 'api';
    lacking.push(`${file} has no \`${key}\`, so nobody can be asked; add ${EXAMPLE[kind]}`);
  }
  throw new BackdialError('input-invalid', lacking.join('; '));
}

/** Also true for what this user may not look at: that is told when it is read. */
function isThere(file: string): boolean {
  try {
    statSync(file);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}

function parseUrl(text: string): SocketAddress {
  if (text.startsWith('unix:/')) return { path: text.slice('unix:'.length) };
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.protocol !== 'http:' || url.pathname !== '/' || url.username !== '') {
    const shown = withoutLogin(text);
    throw new BackdialError('input-invalid', `--url ${JSON.stringify(shown)}; allowed: http://host:port or unix:/path`);
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) };
}

/** Where a listener can be reached from the same machine. */
function reachable(address: SocketAddress): SocketAddress {
  if ('path' in address) return address;
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address.host] ?? address.host;
  return { host, port: address.port };
}
