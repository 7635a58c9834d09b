import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiSettings } from '../config/api-settings.ts';
import type { BackdialError } from '../core/errors.ts';
import { canonicalName } from '../core/host-name.ts';
import { sameValue } from '../core/same-value.ts';
import { VERSION } from '../core/version.ts';
import type { Logs } from '../log/open-logs.ts';
import type { ApiRoute } from '../net/api-route.ts';
import { type ApiServer, createApiServer } from '../net/api-server.ts';
import { ApiClient } from './api-client.ts';

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

const DRAINING = 'draining';
const RETRY_MS = 250;

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
  #closed = false;
  /** A predecessor that drains has the address. */
  #waits = false;
  readonly #logs: Logs;

  constructor({ key, logs, names = [], routes }: ProgramApiOptions) {
    this.key = key;
    this.#logs = logs;
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

  /**
   * Begins to listen. Where a predecessor that drains still has the address, its API stays up to the end, and this one waits
   * for it in the background. Fails with `listen-failed`.
   */
  async start(settings: ApiSettings | null): Promise<void> {
    const { failures } = await this.apply(settings);
    if (failures[0] === undefined) return;
    if (!(await this.#predecessorDrains())) throw failures[0];
    this.#waits = true;
    this.#logs.system.info({ event: 'api-waits' }, `${this.key}: waits for a program that drains and has the address`);
    void this.#retry();
  }

  async #retry(): Promise<void> {
    for (;;) {
      await sleep(RETRY_MS, undefined, { ref: false });
      if (this.#closed) return;
      const failures = await this.#open();
      if (failures.length > 0) continue;
      this.#waits = false;
      return;
    }
  }

  async #predecessorDrains(): Promise<boolean> {
    for (const address of this.#settings?.listen ?? []) {
      const asked = new ApiClient(address, this.#settings?.token ?? null).ask('GET', '/health');
      const { status, text } = await asked.catch(() => ({ status: 0, text: '' }));
      if (status === 503 && text === DRAINING) return true;
    }
    return false;
  }

  /** Follows other settings; gives what could not be opened. What is waited for is no failure. */
  async apply(settings: ApiSettings | null): Promise<{ changed: boolean; failures: readonly BackdialError[] }> {
    const changed = !sameValue(this.#settings, settings);
    if (this.#waits && !changed) return { changed, failures: [] };
    this.#settings = settings;
    return { changed, failures: await this.#open() };
  }

  #open(): Promise<readonly BackdialError[]> {
    const settings = this.#settings;
    return this.#server.apply(settings === null ? null : { ...settings, names: this.#names });
  }

  close(): Promise<void> {
    this.#closed = true;
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
      handle: () => (this.#draining ? { status: 503, text: DRAINING } : { text: 'OK' }),
    };
  }
}
