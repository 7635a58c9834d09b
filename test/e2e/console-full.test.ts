import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MAIN } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

/** A server whose standard output takes nothing: a file on a full disk, say. */
async function withMuteServer(body: (server: ChildProcess) => Promise<void>): Promise<void> {
  const files = {
    'domains/www.example.com.json5': '{ active: false }',
    'server.json5': '{ listen: "127.0.0.1:0", admin: { listen: "unix:./admin.sock" } }',
  };
  await withFolder(files, async (folder) => {
    const full = openSync('/dev/full', 'w');
    const server = spawn(process.execPath, [MAIN, 'server', '-c', join(folder, 'server.json5')], {
      stdio: ['ignore', full, 'ignore'],
    });
    closeSync(full);
    try {
      await eventually('it serves', () => existsSync(join(folder, 'admin.sock')));
      await body(server);
    } finally {
      server.kill('SIGKILL');
    }
  });
}

describe('a console that takes nothing', { skip: existsSync('/dev/full') ? false : 'no /dev/full' }, () => {
  it('keeps no server from ending', () =>
    withMuteServer(async (server) => {
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      assert.deepEqual(await within('its end', ended), [0, null]);
    }));
});
