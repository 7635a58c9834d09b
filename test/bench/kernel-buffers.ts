import { readFileSync, writeFileSync } from 'node:fs';

const FILE = '/proc/sys/net/ipv4/tcp_notsent_lowat';
/** What README advises servers with thousands of visitors who may stop reading. */
const UNSENT_BYTES = 131_072;

/**
 * Bounds what the kernel takes of a connection before it can be sent, until it is disposed of, or the process ends. Without it
 * a visitor who reads nothing has 2 to 4 MB in the kernel, and 1,000 of them all of its memory for TCP. Where that may not be
 * set it is told, and the figures are the kernel's.
 */
export function boundUnsent(): AsyncDisposable {
  const before = readFileSync(FILE, 'utf8');
  const restore = (): void => writeFileSync(FILE, before);
  try {
    writeFileSync(FILE, String(UNSENT_BYTES));
    process.once('exit', restore);
  } catch (error) {
    console.error(
      `  ${FILE} cannot be set to ${UNSENT_BYTES}: ${error instanceof Error ? error.message : String(error)}`,
    );
    return { async [Symbol.asyncDispose]() {} };
  }
  return {
    async [Symbol.asyncDispose]() {
      process.off('exit', restore);
      restore();
    },
  };
}
