import { hostname } from 'node:os';
import { ConfigFiles } from '../config/config-files.ts';
import { loadServer, type ServerConfig, serverKeyOf } from '../config/load-server.ts';
import { VERSION } from '../core/version.ts';
import { createServer, type ServerOptions } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import { collectBulkGarbage } from './bulk-garbage.ts';
import { drainOnCrash } from './crash.ts';
import { takeHandedOver } from './handed-over.ts';
import { reportLoaded } from './load-config.ts';
import type { LevelFlags } from './log-level.ts';
import { ProgramApi } from './program-api.ts';
import { ProgramSettings } from './program-settings.ts';
import { Reloader } from './reload.ts';
import { keepSelfSigned, type SelfSigned } from './self-signed.ts';
import { ServerOperation } from './server-operation.ts';
import { serviceManager } from './service-manager.ts';
import { shrinkHeap } from './shrink-heap.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { startLogs } from './start-logs.ts';

/** Runs a server from its file until a signal, and follows the file. Fails with `config-invalid` and `listen-failed`. */
export async function runServer(file: string, flags: LevelFlags): Promise<void> {
  const files = new ConfigFiles();
  const stateDirectory = process.env.STATE_DIRECTORY;
  const load = (logFiles: readonly string[] = []) => loadServer(file, { stateDirectory, files, logFiles });
  const first = await load();
  const config = reportLoaded(file, first);
  const logs = startLogs(config.log, flags);
  shrinkHeap();
  collectBulkGarbage();
  let hangup = logs.reopen;
  // Before anything is open: a signal that comes during the start counts.
  const signals = watchSignals(() => hangup());
  const manager = serviceManager(process.env);
  try {
    logs.system.info({ version: VERSION, file }, `backdial ${VERSION}: server, configured by ${file}`);
    const operation = new ServerOperation(logs, config.options.name ?? hostname());
    const sockets = takeHandedOver(process.env, process.pid);
    const optionsOf = optionsMaker({ state: config.state, logs, sockets, operation });
    const server = createServer(await optionsOf(config));
    operation.watch(server);
    drainOnCrash(logs, (options) => server.close(options));
    const isInForce = ({ inactive, admin }: ServerConfig) => {
      operation.record.leavesOut(inactive);
      operation.measure(admin !== null);
    };
    isInForce(config);
    await server.listen();
    const { name } = config.options;
    const api = new ProgramApi({
      key: 'admin',
      logs,
      names: name === undefined ? [] : [name],
      routes: operation.routes,
    });
    await api.start(config.admin);
    const program = new ProgramSettings(config, { logs, flags, api });
    const apply = async (next: ServerConfig) => {
      const options = await optionsOf(next);
      return program.apply({ ...next, api: next.admin }, async () => {
        const applied = await server.apply(options);
        isInForce(next);
        return applied;
      });
    };
    const reloader = new Reloader({
      logs,
      load: () => load(program.logFiles),
      apply,
      keyOf: serverKeyOf,
      record: operation.record,
    });
    hangup = () => manager.reloading(reloader.hangup());
    await reloader.start(first);
    manager.ready();
    const { domains } = config.options;
    logs.system.info(
      { domains: domains.length, inactive: config.inactive.length },
      `ready; active domains: ${domains.length}, inactive: ${config.inactive.length}`,
    );
    await drainOnSignal(
      signals,
      (options) => server.close(options),
      () => {
        manager.stopping();
        void reloader.close();
        api.drain();
        operation.drain();
        logs.system.info('draining: no new connections; a second signal ends it at once');
      },
    );
    await api.close();
    logs.system.info('ended');
  } finally {
    await manager.close();
    await logs.close();
  }
}

/** The options of a configuration; where it has no certificate, with the self-signed one that is kept in `state`. */
function optionsMaker({
  state,
  logs,
  sockets,
  operation,
}: {
  readonly state: string;
  readonly logs: Logs;
  readonly sockets: NonNullable<ServerOptions['sockets']>;
  readonly operation: ServerOperation;
}): (config: ServerConfig) => Promise<ServerOptions> {
  const { observer, record } = operation;
  let inForce: SelfSigned | null = null;
  return async ({ options }) => {
    const own = options.listen.flatMap((each) => ('certificates' in each ? (each.certificates ?? []) : []));
    const presentsShared = options.listen.some((each) => !('certificates' in each));
    record.hasCertificates([...options.certificates, ...own]);
    if (options.certificates.length > 0 || !presentsShared) return { ...options, observer, sockets };
    // Names of domains are left out: a certificate shows them to every stranger.
    const selfSigned = await keepSelfSigned(state, ['localhost'], inForce);
    const { cert, key, pin, created, restored } = selfSigned;
    const made = created ? 'a self-signed one was made' : 'the self-signed one is used';
    const message = `no certificate is configured: ${made}; agents need --pin ${pin}`;
    if (inForce?.pin !== pin) logs.system.warn({ pin, created }, message);
    if (restored)
      logs.system.warn({ pin }, `${state} had lost the self-signed certificate; it was written there again`);
    inForce = selfSigned;
    const certificates = [{ hosts: ['*'], cert, key }];
    record.hasCertificates([...certificates, ...own]);
    return { ...options, certificates, observer, sockets };
  };
}
