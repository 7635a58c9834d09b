import type { ServerConfig } from '../config/load-server.ts';
import { VERSION } from '../core/version.ts';
import { type CertificateOptions, createServer } from '../index.ts';
import type { Logs } from '../log/open-logs.ts';
import { loadServerConfig } from './load-config.ts';
import type { LevelFlags } from './log-level.ts';
import { keepSelfSigned } from './self-signed.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { startLogs } from './start-logs.ts';

/** Runs a server from its file until a signal. Fails with `config-invalid` and `listen-failed`. */
export async function runServer(file: string, flags: LevelFlags): Promise<void> {
  const config = await loadServerConfig(file);
  const logs = startLogs(config.log, flags);
  // Before anything is open: a signal that comes during the start counts.
  const signals = watchSignals(logs.reopen);
  try {
    logs.system.info({ version: VERSION, file }, `backdial ${VERSION}: server, configured by ${file}`);
    const certificates = await certificatesOf(config, logs);
    const server = createServer({ ...config.options, certificates, observer: logs.observer });
    await server.listen();
    const { domains } = config.options;
    logs.system.info(
      { domains: domains.length, inactive: config.inactive.length },
      `ready; active domains: ${domains.length}, inactive: ${config.inactive.length}`,
    );
    await drainOnSignal(
      signals,
      (options) => server.close(options),
      () => logs.system.info('draining: no new connections; a second signal ends it at once'),
    );
    logs.system.info('ended');
  } finally {
    await logs.close();
  }
}

async function certificatesOf(config: ServerConfig, logs: Logs): Promise<readonly CertificateOptions[]> {
  const { certificates } = config.options;
  if (certificates.length > 0) return certificates;
  // Names of domains are left out: a certificate shows them to every stranger.
  const { cert, key, pin, created } = await keepSelfSigned(config.state, ['localhost']);
  const made = created ? 'a self-signed one was made' : 'the self-signed one is used';
  logs.system.warn({ pin, created }, `no certificate is configured: ${made}; agents need --pin ${pin}`);
  return [{ hosts: ['*'], cert, key }];
}
