import { ConfigFiles } from '../config/config-files.ts';
import { type AgentConfig, agentKeyOf, loadAgent } from '../config/load-agent.ts';
import { BackdialError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { type AgentOptions, createAgent } from '../index.ts';
import { AgentOperation } from './agent-operation.ts';
import { collectBulkGarbage } from './bulk-garbage.ts';
import { drainOnCrash } from './crash.ts';
import { exposeRoutes } from './expose-routes.ts';
import { ExposureFile } from './exposure-file.ts';
import { reportLoaded } from './load-config.ts';
import type { LevelFlags } from './log-level.ts';
import { ProgramApi } from './program-api.ts';
import { ProgramSettings } from './program-settings.ts';
import { Reloader } from './reload.ts';
import { serviceManager } from './service-manager.ts';
import { shrinkHeap } from './shrink-heap.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { startLogs } from './start-logs.ts';

/**
 * Runs an agent from its file until a signal, and follows the file; whatever its servers answer, it never gives up. Fails
 * with `config-invalid`.
 */
export async function runAgent(file: string, flags: LevelFlags): Promise<void> {
  const files = new ConfigFiles();
  const stateDirectory = process.env.STATE_DIRECTORY;
  const load = (logFiles: readonly string[] = []) => loadAgent(file, { stateDirectory, files, logFiles });
  const first = await load();
  const config = reportLoaded(file, first);
  const { domains } = config.options;
  if (domains.length === 0) throw new BackdialError('config-invalid', `${file}: no domain is active`);
  const logs = startLogs(config.log, flags);
  shrinkHeap();
  collectBulkGarbage();
  let hangup = logs.reopen;
  const signals = watchSignals(() => hangup());
  const manager = serviceManager(process.env);
  try {
    logs.system.info({ version: VERSION, file }, `backdial ${VERSION}: agent, configured by ${file}`);
    const operation = new AgentOperation(logs);
    const optionsOf = ({ options, log }: AgentConfig): AgentOptions => {
      operation.record.hasCertificates(certificatesOf(options));
      return {
        ...options,
        // Bytes are spliced unless someone reads what they say.
        exchanges: log.access.length > 0,
        proxyEnvironment: process.env,
        observer: operation.observer,
      };
    };
    const agent = createAgent(optionsOf(config));
    const exposures = new ExposureFile(config.state);
    const saved = await exposures.load();
    operation.watch(agent);
    drainOnCrash(logs, (options) => agent.close(options));
    const isInForce = ({ inactive, api }: AgentConfig) => {
      operation.record.leavesOut(inactive);
      operation.measure(api !== null);
    };
    isInForce(config);
    const routes = [...operation.routes, ...exposeRoutes(agent.exposures, exposures)];
    const api = new ProgramApi({ key: 'api', logs, routes });
    await api.start(config.api);
    agent.start();
    agent.exposures.restore(saved);
    agent.ready.then(
      () => logs.system.info({ domains: domains.length }, `ready; domains served: ${domains.length}`),
      () => {},
    );
    const program = new ProgramSettings(config, { logs, flags, api });
    const apply = (next: AgentConfig) => {
      const options = optionsOf(next);
      return program.apply(next, async () => {
        const applied = await agent.apply(options);
        isInForce(next);
        return applied;
      });
    };
    const reloader = new Reloader({
      logs,
      load: () => load(program.logFiles),
      apply,
      keyOf: agentKeyOf,
      record: operation.record,
    });
    hangup = () => manager.reloading(reloader.hangup());
    await reloader.start(first);
    manager.ready();
    await drainOnSignal(
      signals,
      (options) => agent.close(options),
      () => {
        manager.stopping();
        void reloader.close();
        api.drain();
        operation.drain();
        logs.system.info('draining; a second signal ends it at once');
      },
    );
    await api.close();
    logs.system.info('ended');
  } finally {
    await manager.close();
    await logs.close();
  }
}

/** Those that are shown to servers. */
function certificatesOf({ domains }: AgentConfig['options']): { hosts: string[]; cert: string }[] {
  return domains.flatMap(({ name, certificate }) =>
    certificate == null ? [] : [{ hosts: [name], cert: certificate }],
  );
}
