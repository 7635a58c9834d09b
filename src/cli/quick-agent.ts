import type { TargetAddress } from '../agent/options.ts';
import { BackdialError } from '../core/errors.ts';
import type { Observer } from '../core/events.ts';
import { VERSION } from '../core/version.ts';
import { createAgent } from '../index.ts';
import { collectBulkGarbage } from './bulk-garbage.ts';
import { logLevel } from './log-level.ts';
import type { QuickArguments } from './quick-flags.ts';
import { type QuickOptions, quickOptions } from './quick-options.ts';
import { createQuickView } from './quick-view.ts';
import { isFinal, refusalText } from './refusal-text.ts';
import { drainOnSignal, watchSignals } from './signals.ts';
import { startLogs } from './start-logs.ts';
import { targetText } from './target.ts';
import { isTerminal, terminalColumns, wantsColors } from './terminal.ts';

/** What `http` and `tcp` differ in. */
export interface QuickKind {
  readonly target: TargetAddress;
  /** Whether HTTP is parsed, so that each request is shown. */
  readonly exchanges: boolean;
  /** The public address in words, once the domain and the server are known. */
  readonly address: (domain: string, server: string) => string;
  /** A TCP port that the server is asked to open; null: none. */
  readonly claim: number | null;
}

/** Serves one domain until a signal; fails with the catalogue's code when the very first handshake was refused (exit 4). */
export async function runQuickAgent(flags: QuickArguments, kind: QuickKind): Promise<void> {
  const options = quickOptions(flags, kind.target, process.env);
  const domain = kind.claim === null ? options.domain : { ...options.domain, claims: [kind.claim] };
  const output = isTerminal() ? terminalOutput(options, kind, flags) : logOutput(options, flags);
  const first = firstHandshake(options.domain.name);
  const agent = createAgent({
    domains: [domain],
    exchanges: kind.exchanges,
    proxyEnvironment: process.env,
    observer: (event) => {
      output.observer(event);
      first.observer(event);
    },
  });
  // A quick agent has no file to reload and no log to reopen: SIGHUP is a terminal that was closed.
  const signals = watchSignals();
  collectBulkGarbage();
  agent.start();
  try {
    await Promise.race([drainOnSignal(signals, (options) => agent.close(options)), first.refused]);
  } catch (error) {
    await agent.close({ drainMs: 0 });
    throw error;
  } finally {
    await output.close();
  }
}

interface Output {
  readonly observer: Observer;
  close(): Promise<void>;
}

function terminalOutput(options: QuickOptions, kind: QuickKind, flags: QuickArguments): Output {
  const view = createQuickView({
    write: (text) => process.stdout.write(text),
    columns: () => terminalColumns(80),
    colors: wantsColors(),
    level: logLevel('info', flags, process.env.BACKDIAL_LOG_LEVEL),
  });
  view.print(`backdial ${VERSION}   Ctrl-C ends it\n`);
  view.print(`  public  ${kind.address(options.domain.name, options.server)}`);
  view.print(`  target  ${targetText(kind.target)}`);
  view.print(`  server  ${options.server}\n`);
  for (const warning of options.warnings) view.warn(warning);
  return { observer: view.observer, close: () => Promise.resolve() };
}

function logOutput(options: QuickOptions, flags: QuickArguments): Output {
  const logs = startLogs({ access: ['console'] }, flags);
  for (const warning of options.warnings) logs.system.warn(warning);
  return { observer: logs.observer, close: logs.close };
}

/** Rejects when the first handshake was answered by anything but 101. Once a tunnel was up it never does. */
function firstHandshake(domain: string): { readonly observer: Observer; readonly refused: Promise<never> } {
  const { promise, reject } = Promise.withResolvers<never>();
  let decided = false;
  return {
    refused: promise,
    observer: (event) => {
      if (decided) return;
      if (event.type === 'tunnel-opened') decided = true;
      if (event.type !== 'dial-failed' || !isFinal(event.reason)) return;
      decided = true;
      const { reason, detail, server } = event;
      reject(new BackdialError(reason, refusalText({ reason, detail, server, domain })));
    },
  };
}
