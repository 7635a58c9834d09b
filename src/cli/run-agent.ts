import { BackdialError } from '../core/errors.ts';
import { VERSION } from '../core/version.ts';
import { createAgent } from '../index.ts';
import { loadAgentConfig } from './load-config.ts';
import type { LevelFlags } from './log-level.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { startLogs } from './start-logs.ts';

/** Runs an agent from its file until a signal; whatever its servers answer, it never gives up. Fails with `config-invalid`. */
export async function runAgent(file: string, flags: LevelFlags): Promise<void> {
  const config = await loadAgentConfig(file);
  const { domains } = config.options;
  if (domains.length === 0) throw new BackdialError('config-invalid', `${file}: no domain is active`);
  const logs = startLogs(config.log, flags);
  const signals = watchSignals(logs.reopen);
  try {
    logs.system.info({ version: VERSION, file }, `backdial ${VERSION}: agent, configured by ${file}`);
    const agent = createAgent({
      ...config.options,
      // Bytes are spliced unless someone reads what they say.
      exchanges: config.log.access.length > 0,
      proxyEnvironment: process.env,
      observer: logs.observer,
    });
    agent.start();
    agent.ready.then(
      () => logs.system.info({ domains: domains.length }, `ready; domains served: ${domains.length}`),
      () => {},
    );
    await drainOnSignal(
      signals,
      (options) => agent.close(options),
      () => logs.system.info('draining; a second signal ends it at once'),
    );
    logs.system.info('ended');
  } finally {
    await logs.close();
  }
}
