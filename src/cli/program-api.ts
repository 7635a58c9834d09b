import { hostname } from 'node:os';
import type { ApiSettings } from '../config/api-settings.ts';
import type { BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import { sameValue } from '../core/same-value.ts';
import { VERSION } from '../core/version.ts';
import type { Logs } from '../log/open-logs.ts';
import type { ApiRoute } from '../net/api-route.ts';
import { type ApiServer, createApiServer } from '../net/api-server.ts';

/** What the API of a program is made of. */
export interface ProgramApiOptions {
  /** The key of the file that has its settings. */
  readonly key: 'admin' | 'api';
  readonly logs: Logs;
  /** Names by which this machine may be asked, beyond its host name. Default none. */
  readonly names?: readonly string[];
  /** Beside `/health` and `/openapi.json`. */
  readonly routes: readonly ApiRoute[];
}

const DESCRIPTIONS = {
  admin: 'What a Backdial server tells its operator, and what it can be asked to do.',
  api: 'What a Backdial agent tells its operator, and what it can be asked to do.',
};

/** The API of a server (`admin`) or an agent (`api`), as its file has it at the moment. It stays up while the program drains. */
export class ProgramApi {
  readonly key: 'admin' | 'api';
  readonly #names: readonly string[];
  readonly #server: ApiServer;
  #settings: ApiSettings | null = null;
  #draining = false;

  constructor({ key, logs, names = [], routes }: ProgramApiOptions) {
    this.key = key;
    const own = canonicalName(hostname());
    this.#names = own === null ? names : [...names, own];
    this.#server = createApiServer({
      info: { title: `Backdial ${key}`, version: VERSION, description: DESCRIPTIONS[key] },
      routes: [this.#healthRoute(), ...routes],
      onListening: (address) => logs.observer({ type: 'listening', purpose: 'api', address }),
      onFault: (fault) => logs.observer({ type: 'warning', code: 'internal', message: String(fault.stack) }),
    });
  }

  /** From now on `/health` says that no visitor should be sent here. */
  drain(): void {
    this.#draining = true;
  }

  /** Begins to listen. Fails with `listen-failed`. */
  async start(settings: ApiSettings | null): Promise<void> {
    const { failures } = await this.apply(settings);
    if (failures[0] !== undefined) throw failures[0];
  }

  /** Follows other settings; gives what could not be opened. */
  async apply(settings: ApiSettings | null): Promise<{ changed: boolean; failures: readonly BackdialError[] }> {
    const changed = !sameValue(this.#settings, settings);
    this.#settings = settings;
    const failures = await this.#server.apply(settings === null ? null : { ...settings, names: this.#names });
    return { changed, failures };
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #healthRoute(): ApiRoute {
    return {
      method: 'GET',
      path: '/health',
      operation: {
        summary: 'Whether it serves',
        responses: {
          200: { description: '`OK`: it serves', schema: { type: 'string' }, type: 'text/plain' },
          503: { description: '`draining`: it is told to stop', schema: { type: 'string' }, type: 'text/plain' },
        },
      },
      handle: () => (this.#draining ? { status: 503, text: 'draining' } : { text: 'OK' }),
    };
  }
}
