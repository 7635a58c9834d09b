import { chmod, chown, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { runTool, startDaemon } from './real-program.ts';
import { steadyPort } from './steady-port.ts';
import { findTool } from './tools.ts';
import { withFolder } from './with-folder.ts';

/** `nobody` of Debian: PostgreSQL does not run as root. */
const NOBODY = 65_534;

/** Runs a PostgreSQL with an empty cluster of its own, that lets `tester` in without a password, while `body` does. */
export function withPostgres(body: (port: number) => Promise<void>): Promise<void> {
  return withFolder({}, async (folder) => {
    const data = join(folder, 'data');
    await mkdir(data, { mode: 0o700 });
    if (userInfo().uid === 0) {
      await chmod(folder, 0o711);
      await chown(data, NOBODY, NOBODY);
    }
    const made = await runTool(
      ...asUser('initdb', '-D', data, '-U', 'tester', '-A', 'trust', '-E', 'UTF8', '--no-sync'),
    );
    if (made.code !== 0) throw new Error(`initdb: ${made.stderr}`);
    const port = await steadyPort();
    const settings = ['fsync=off', 'unix_socket_directories=', 'shared_buffers=4MB', 'listen_addresses=127.0.0.1'];
    const flags = [...settings.flatMap((setting) => ['-c', setting]), '-p', String(port)];
    // SIGTERM would wait for its clients.
    const postgres = await startDaemon(...asUser('postgres', '-D', data, ...flags), port, 'SIGQUIT');
    try {
      await body(port);
    } finally {
      await postgres.stop();
    }
  });
}

function asUser(name: string, ...args: readonly string[]): [string, string[]] {
  if (userInfo().uid !== 0) return [name, [...args]];
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  return ['setpriv', [...user, findTool(name), ...args]];
}
