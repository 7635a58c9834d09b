import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { MAIN } from '../support/run-cli.ts';
import { withFolder } from '../support/with-folder.ts';
import { eventually, within } from '../support/within.ts';

/** A server whose standard output takes nothing. */
async function withMuteServer(
  openOutput: (folder: string) => number,
  body: (server: ChildProcess) => Promise<void>,
): Promise<void> {
  const files = {
    'domains/www.example.com.json5': '{ active: false }',
    'server.json5': '{ listen: "127.0.0.1:0", admin: { listen: "unix:./admin.sock" } }',
  };
  await withFolder(files, async (folder) => {
    const output = openOutput(folder);
    const server = spawn(process.execPath, [MAIN, 'server', '-c', join(folder, 'server.json5')], {
      stdio: ['ignore', output, 'ignore'],
    });
    try {
      await eventually('it serves', () => existsSync(join(folder, 'admin.sock')));
      await body(server);
    } finally {
      server.kill('SIGKILL');
      closeSync(output);
    }
  });
}

/** A pipe that is full, and that nobody reads. */
function openFullPipe(folder: string): number {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    for (;;) writeSync(pipe, 'x');
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
  return pipe;
}

async function endsAtSigterm(server: ChildProcess): Promise<void> {
  const ended = once(server, 'exit');
  server.kill('SIGTERM');
  assert.deepEqual(await within('its end', ended), [0, null]);
}

describe('a console that takes nothing keeps no server from ending', () => {
  it('a file on a full disk', { skip: existsSync('/dev/full') ? false : 'no /dev/full' }, () =>
    withMuteServer(() => openSync('/dev/full', 'w'), endsAtSigterm),
  );

  it('a pipe that nobody reads', { skip: process.platform === 'win32' }, () =>
    withMuteServer(openFullPipe, endsAtSigterm),
  );
});
