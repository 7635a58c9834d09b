import { readFileSync, writeFileSync } from 'node:fs';

const FILE = '/proc/sys/net/ipv4/tcp_notsent_lowat';
/** What README advises servers with thousands of visitors who may stop reading. */
const UNSENT_BYTES = 131_072;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Bounds what the kernel takes of a connection before it can be sent, until it is disposed of, or the process ends, also by a signal.
 * Without it a visitor who reads nothing has 2 to 4 MB in the kernel, and 1,000 of them all of its memory for TCP. Where that may
 * not be set it is told, and the figures are the kernel's. `file`: for its test.
 */
export function boundUnsent(file = FILE): AsyncDisposable {
  const before = readFileSync(file, 'utf8');
  try {
    writeFileSync(file, String(UNSENT_BYTES));
  } catch (error) {
    console.error(
      `  ${file} cannot be set to ${UNSENT_BYTES}: ${error instanceof Error ? error.message : String(error)}`,
    );
    return { async [Symbol.asyncDispose]() {} };
  }
  const restore = (): void => {
    process.off('exit', restore);
    for (const signal of SIGNALS) process.off(signal, processOnSignal);
    writeFileSync(file, before);
  };
  const processOnSignal = (signal: NodeJS.Signals): void => {
    restore();
    process.kill(process.pid, signal);
  };
  process.on('exit', restore);
  for (const signal of SIGNALS) process.on(signal, processOnSignal);
  return {
    async [Symbol.asyncDispose]() {
      restore();
    },
  };
}
